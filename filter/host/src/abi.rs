//! The functions of `env` that the module imports (proxy-wasm ABI 0.2.1), as Envoy answers them.

use core::time::Duration;

use wasmi::{Caller, Error, Linker};

use crate::calls::{HttpCall, Token};
use crate::exports::size;
use crate::foreign;
use crate::guest::{Guest, Subject, call};
use crate::headers;
use crate::host::{Deferred, Host};
use crate::status::{BAD_ARGUMENT, INTERNAL_FAILURE, NOT_FOUND, OK};
use crate::stream::{Answer, By};

type In<'a> = Caller<'a, Host>;

/// Defines them all; the rest of what a module imports traps when it is called.
pub fn define(linker: &mut Linker<Host>, module: &wasmi::Module) -> Result<(), Error> {
    process(linker)?;
    properties(linker)?;
    maps(linker)?;
    buffers(linker)?;
    shared_data(linker)?;
    streams(linker)?;
    calls(linker)?;
    metrics(linker)?;
    crate::wasi::define(linker)?;
    for import in module.imports() {
        let (from, name) = (import.module(), import.name());
        let Some(kind) = import.ty().func() else { continue };
        let called = format!("{from}.{name} was called, which this host does not play");
        // What is defined above stays as it is: a second definition is refused.
        let _ = linker
            .func_new(from, name, kind.clone(), move |_, _, _| Err(Error::new(called.clone())));
    }
    Ok(())
}

fn process(linker: &mut Linker<Host>) -> Result<(), Error> {
    linker.func_wrap("env", "proxy_log", |caller: In<'_>, level: u32, at: u32, length: u32| {
        call(caller, "proxy_log", Subject::Number(level), |guest| {
            let line = guest.read(at, length)?;
            let line = String::from_utf8_lossy(&line).into_owned();
            guest.host().logs.push((level, line));
            Ok(OK)
        })
    })?;
    let name = "proxy_get_current_time_nanoseconds";
    linker.func_wrap("env", name, |caller: In<'_>, out: u32| {
        call(caller, "proxy_get_current_time_nanoseconds", Subject::Nothing, |guest| {
            let now = if guest.is_blank() { Duration::ZERO } else { guest.host().now };
            let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
            guest.write(out, &now.to_le_bytes())?;
            Ok(OK)
        })
    })?;
    let name = "proxy_set_tick_period_milliseconds";
    linker.func_wrap("env", name, |caller: In<'_>, period: u32| {
        let subject = Subject::Number(period);
        call(caller, "proxy_set_tick_period_milliseconds", subject, |guest| {
            guest.host().set_period(Duration::from_millis(period.into()));
            Ok(OK)
        })
    })?;
    let name = "proxy_set_effective_context";
    linker.func_wrap("env", name, |caller: In<'_>, context: u32| {
        call(caller, "proxy_set_effective_context", Subject::Number(context), |guest| {
            Ok(guest.host().act_as(context))
        })
    })?;
    Ok(())
}

fn properties(linker: &mut Linker<Host>) -> Result<(), Error> {
    linker.func_wrap(
        "env",
        "proxy_get_property",
        |caller: In<'_>, at: u32, length: u32, value: u32, value_length: u32| {
            call(caller, "proxy_get_property", Subject::Text(at, length), |guest| {
                let path = guest.text(at, length)?.replace('\0', ".");
                match guest.host().property(&path) {
                    Some(bytes) => guest.give(&bytes, value, value_length),
                    None => Ok(NOT_FOUND),
                }
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_property",
        |caller: In<'_>, at: u32, length: u32, value: u32, value_length: u32| {
            call(caller, "proxy_set_property", Subject::Text(at, length), |guest| {
                let path = guest.text(at, length)?.replace('\0', ".");
                let value = guest.read(value, value_length)?;
                let Some(stream) = guest.host().stream() else { return Ok(NOT_FOUND) };
                stream.shown.insert(path, value);
                Ok(OK)
            })
        },
    )?;
    Ok(())
}

fn maps(linker: &mut Linker<Host>) -> Result<(), Error> {
    let name = "proxy_get_header_map_pairs";
    linker.func_wrap("env", name, |caller: In<'_>, map: u32, out: u32, length: u32| {
        call(caller, "proxy_get_header_map_pairs", Subject::Number(map), |guest| {
            // A map that is not there is an empty one for Envoy.
            let lines = guest.host().map(map).cloned().unwrap_or_default();
            let bytes = if lines.is_empty() { Vec::new() } else { headers::encode(&lines) };
            guest.give(&bytes, out, length)
        })
    })?;
    linker.func_wrap(
        "env",
        "proxy_get_header_map_value",
        |caller: In<'_>, map: u32, at: u32, length: u32, value: u32, value_length: u32| {
            call(caller, "proxy_get_header_map_value", Subject::Text(at, length), |guest| {
                let name = guest.text(at, length)?.to_ascii_lowercase();
                let Some(lines) = guest.host().map(map) else { return Ok(BAD_ARGUMENT) };
                match headers::first(lines, &name).map(<[u8]>::to_vec) {
                    Some(bytes) => guest.give(&bytes, value, value_length),
                    None => Ok(NOT_FOUND),
                }
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_remove_header_map_value",
        |caller: In<'_>, map: u32, at: u32, length: u32| {
            call(caller, "proxy_remove_header_map_value", Subject::Text(at, length), |guest| {
                let name = guest.text(at, length)?;
                let Some(lines) = guest.host().map(map) else { return Ok(BAD_ARGUMENT) };
                headers::remove(lines, &name);
                Ok(OK)
            })
        },
    )?;
    for (name, replaces) in
        [("proxy_add_header_map_value", false), ("proxy_replace_header_map_value", true)]
    {
        linker.func_wrap(
            "env",
            name,
            move |caller: In<'_>, map: u32, at: u32, length: u32, value: u32, value_length: u32| {
                call(caller, name, Subject::Text(at, length), |guest| {
                    let line = guest.text(at, length)?.to_ascii_lowercase();
                    let value = guest.read(value, value_length)?;
                    let Some(lines) = guest.host().map(map) else { return Ok(BAD_ARGUMENT) };
                    if replaces {
                        headers::remove(lines, &line);
                    }
                    lines.push((line, value));
                    Ok(OK)
                })
            },
        )?;
    }
    Ok(())
}

fn buffers(linker: &mut Linker<Host>) -> Result<(), Error> {
    linker.func_wrap(
        "env",
        "proxy_get_buffer_bytes",
        |caller: In<'_>, buffer: u32, start: u32, most: u32, out: u32, length: u32| {
            call(caller, "proxy_get_buffer_bytes", Subject::Number(buffer), |guest| {
                let Some(bytes) = guest.host().buffer(buffer) else { return Ok(NOT_FOUND) };
                let start = size(start).min(bytes.len());
                let end = start.saturating_add(size(most)).min(bytes.len());
                let bytes = bytes.get(start..end).unwrap_or_default().to_vec();
                guest.give(&bytes, out, length)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_buffer_bytes",
        |caller: In<'_>, buffer: u32, start: u32, replaced: u32, at: u32, length: u32| {
            call(caller, "proxy_set_buffer_bytes", Subject::Number(buffer), |guest| {
                let new = guest.read(at, length)?;
                let Some(bytes) = guest.host().buffer(buffer) else { return Ok(NOT_FOUND) };
                let start = size(start).min(bytes.len());
                let end = start.saturating_add(size(replaced)).min(bytes.len());
                bytes.splice(start..end, new);
                Ok(OK)
            })
        },
    )?;
    Ok(())
}

fn shared_data(linker: &mut Linker<Host>) -> Result<(), Error> {
    linker.func_wrap(
        "env",
        "proxy_get_shared_data",
        |caller: In<'_>, at: u32, length: u32, value: u32, value_length: u32, change: u32| {
            call(caller, "proxy_get_shared_data", Subject::Text(at, length), |guest| {
                let key = guest.read(at, length)?;
                let found = guest.host().shared.borrow().get(&key).map(|(v, n)| (v.to_vec(), n));
                let Some((bytes, number)) = found else { return Ok(NOT_FOUND) };
                guest.give(&bytes, value, value_length)?;
                guest.write_number(change, number)?;
                Ok(OK)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_shared_data",
        |caller: In<'_>, at: u32, length: u32, value: u32, value_length: u32, change: u32| {
            call(caller, "proxy_set_shared_data", Subject::Text(at, length), |guest| {
                let key = guest.read(at, length)?;
                let value = guest.read(value, value_length)?;
                let status = guest.host().shared.borrow_mut().set(&key, &value, change);
                Ok(status)
            })
        },
    )?;
    Ok(())
}

fn streams(linker: &mut Linker<Host>) -> Result<(), Error> {
    for (name, resets) in [("proxy_continue_stream", false), ("proxy_close_stream", true)] {
        linker.func_wrap("env", name, move |caller: In<'_>, kind: u32| {
            call(caller, name, Subject::Number(kind), |guest| {
                if kind > 1 {
                    return Ok(BAD_ARGUMENT);
                }
                let host = guest.host();
                let id = host.acting();
                if let Some(stream) = host.stream() {
                    stream.end_of_reading();
                    let action = if resets { Deferred::Reset(id) } else { Deferred::Continue(id) };
                    host.deferred.push(action);
                }
                Ok(OK)
            })
        })?;
    }
    linker.func_wrap(
        "env",
        "proxy_send_local_response",
        |caller: In<'_>,
         code: u32,
         _details: u32,
         _details_length: u32,
         at: u32,
         length: u32,
         lines: u32,
         lines_length: u32,
         _grpc: i32| {
            call(caller, "proxy_send_local_response", Subject::Number(code), |guest| {
                answer(guest, code, (at, length), (lines, lines_length))
            })
        },
    )?;
    Ok(())
}

fn answer(
    guest: &mut Guest<'_, '_>,
    code: u32,
    (at, length): (u32, u32),
    (lines, lines_length): (u32, u32),
) -> Result<u32, Error> {
    let body = guest.read(at, length)?;
    let mut headers = guest.map(lines, lines_length)?;
    headers.insert(0, (":status".to_owned(), code.to_string().into_bytes()));
    let host = guest.host();
    host.stopped = true;
    let id = host.acting();
    if host.stream().is_some() {
        host.deferred.push(Deferred::Answer(id, Answer { by: By::Module, headers, body }));
    }
    Ok(OK)
}

fn calls(linker: &mut Linker<Host>) -> Result<(), Error> {
    linker.func_wrap(
        "env",
        "proxy_http_call",
        |caller: In<'_>,
         cluster: u32,
         cluster_length: u32,
         lines: u32,
         lines_length: u32,
         body: u32,
         body_length: u32,
         _trailers: u32,
         _trailers_length: u32,
         timeout: u32,
         token: u32| {
            let subject = Subject::Text(cluster, cluster_length);
            call(caller, "proxy_http_call", subject, |guest| {
                let request = HttpCall {
                    token: Token(0),
                    context: 0,
                    cluster: guest.text(cluster, cluster_length)?,
                    headers: guest.map(lines, lines_length)?,
                    body: guest.read(body, body_length)?,
                    timeout: Duration::from_millis(timeout.into()),
                };
                match guest.host().send(request) {
                    Ok(Token(number)) => guest.write_number(token, number).map(|()| OK),
                    Err(status) => Ok(status),
                }
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_call_foreign_function",
        |caller: In<'_>, at: u32, length: u32, from: u32, size: u32, out: u32, out_length: u32| {
            call(caller, "proxy_call_foreign_function", Subject::Text(at, length), |guest| {
                let name = guest.text(at, length)?;
                let arguments = guest.read(from, size)?;
                if name != "verify_signature" || !guest.host().foreign_functions {
                    return Ok(NOT_FOUND);
                }
                match foreign::verify_signature(&arguments) {
                    Some(answer) => guest.give(&answer, out, out_length),
                    None => Ok(INTERNAL_FAILURE),
                }
            })
        },
    )?;
    Ok(())
}

/// The kind of metric that only grows.
const COUNTER: u32 = 0;

fn metrics(linker: &mut Linker<Host>) -> Result<(), Error> {
    linker.func_wrap(
        "env",
        "proxy_define_metric",
        |caller: In<'_>, kind: u32, at: u32, length: u32, out: u32| {
            call(caller, "proxy_define_metric", Subject::Text(at, length), |guest| {
                // A gauge or a histogram has other calls, which this host does not have.
                if kind != COUNTER {
                    return Ok(BAD_ARGUMENT);
                }
                let name = guest.text(at, length)?;
                let number = guest.host().counter(name);
                guest.write_number(out, number)?;
                Ok(OK)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_increment_metric",
        |caller: In<'_>, metric: u32, more: i64| {
            call(caller, "proxy_increment_metric", Subject::Number(metric), |guest| {
                let more = u64::try_from(more).unwrap_or(0);
                match guest.host().counters.get_mut(size(metric)) {
                    Some(_) if more == 0 => Ok(BAD_ARGUMENT),
                    Some((_, count)) => {
                        *count += more;
                        Ok(OK)
                    }
                    None => Ok(NOT_FOUND),
                }
            })
        },
    )?;
    Ok(())
}
