//! The functions of WASI that the module imports.

use wasmi::{Caller, Error, Linker};

use crate::exports::narrow;
use crate::guest::{Guest, Subject, call};
use crate::host::Host;

const WASI: &str = "wasi_snapshot_preview1";
const OK: u32 = 0;
/// Level of lines that come by `fd_write`.
const INFO: u32 = 2;

type In<'a> = Caller<'a, Host>;

pub fn define(linker: &mut Linker<Host>) -> Result<(), Error> {
    environment(linker)?;
    linker.func_wrap(
        WASI,
        "clock_time_get",
        |caller: In<'_>, clock: u32, _precision: u64, out: u32| {
            call(caller, "clock_time_get", Subject::Number(clock), |guest| {
                let now = guest.host().now.as_nanos();
                guest.write(out, &u64::try_from(now).unwrap_or(u64::MAX).to_le_bytes())?;
                Ok(OK)
            })
        },
    )?;
    linker.func_wrap(WASI, "random_get", |caller: In<'_>, at: u32, length: u32| {
        call(caller, "random_get", Subject::Number(length), |guest| {
            for block in 0..length.div_ceil(8) {
                let random = next_random(&mut guest.host().entropy);
                let wanted = usize::try_from((length - 8 * block).min(8)).unwrap_or(8);
                let random = random.to_le_bytes();
                guest.write(at + 8 * block, random.get(..wanted).unwrap_or(&random))?;
            }
            Ok(OK)
        })
    })?;
    linker.func_wrap(
        WASI,
        "fd_write",
        |caller: In<'_>, file: u32, parts: u32, count: u32, out: u32| {
            call(caller, "fd_write", Subject::Number(file), |guest| {
                let line = gather(guest, parts, count)?;
                guest.write_number(out, narrow(line.len()))?;
                let line = String::from_utf8_lossy(&line).into_owned();
                guest.host().logs.push((INFO, line));
                Ok(OK)
            })
        },
    )?;
    linker.func_wrap(WASI, "proc_exit", |code: u32| -> Result<(), Error> {
        Err(Error::new(format!("the module has exited with {code}")))
    })?;
    Ok(())
}

fn environment(linker: &mut Linker<Host>) -> Result<(), Error> {
    linker.func_wrap(WASI, "environ_sizes_get", |caller: In<'_>, count: u32, length: u32| {
        call(caller, "environ_sizes_get", Subject::Nothing, |guest| {
            let lines = lines(guest);
            guest.write_number(count, narrow(lines.len()))?;
            guest.write_number(length, narrow(lines.iter().map(Vec::len).sum()))?;
            Ok(OK)
        })
    })?;
    linker.func_wrap(WASI, "environ_get", |caller: In<'_>, pointers: u32, buffer: u32| {
        call(caller, "environ_get", Subject::Nothing, |guest| {
            let (mut pointer, mut at) = (pointers, buffer);
            for line in lines(guest) {
                guest.write_number(pointer, at)?;
                guest.write(at, &line)?;
                pointer += 4;
                at += narrow(line.len());
            }
            Ok(OK)
        })
    })?;
    Ok(())
}

fn lines(guest: &mut Guest<'_, '_>) -> Vec<Vec<u8>> {
    let line = |(name, value): &(String, String)| format!("{name}={value}\0").into_bytes();
    guest.host().environment.iter().map(line).collect()
}

/// The text of an array of pointers and lengths.
fn gather(guest: &mut Guest<'_, '_>, parts: u32, count: u32) -> Result<Vec<u8>, Error> {
    let mut text = Vec::new();
    for part in 0..count {
        let pair = guest.read(parts + 8 * part, 8)?;
        let number = |bytes: Option<&[u8]>| {
            let bytes = bytes.and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
            u32::from_le_bytes(bytes)
        };
        text.extend(guest.read(number(pair.get(..4)), number(pair.get(4..)))?);
    }
    Ok(text)
}

/// A generator that anybody can predict (SplitMix64), so that equal tests make equal calls.
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
