//! Two keep-alive connections to one listener, so that the worker has the next request while the
//! client still reads the last answer.

use std::io::{Error, Result, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::http1::{Answer, Reader};

/// Longer than anything takes that works.
const TIMEOUT: Duration = Duration::from_secs(10);

/// See the module.
pub struct Pair([TcpStream; 2]);

impl Pair {
    pub fn to(port: u16) -> Result<Self> {
        Ok(Self([connect(port)?, connect(port)?]))
    }

    /// Sends one request and reads its answer.
    pub fn exchange(&mut self, request: &[u8]) -> Result<Answer> {
        self.0[0].write_all(request)?;
        answer(&mut self.0[0])
    }

    /// Sends them all, each of which must be answered with 200.
    pub fn send<'a>(&mut self, requests: impl Iterator<Item = &'a [u8]>) -> Result<()> {
        let mut busy = [false; 2];
        for (count, request) in requests.enumerate() {
            let at = count % 2;
            if busy[at] {
                permitted(&mut self.0[at])?;
            }
            self.0[at].write_all(request)?;
            busy[at] = true;
        }
        for (stream, _) in self.0.iter_mut().zip(busy).filter(|(_, busy)| *busy) {
            permitted(stream)?;
        }
        Ok(())
    }
}

fn connect(port: u16) -> Result<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn answer(stream: &mut TcpStream) -> Result<Answer> {
    Reader { stream, held: Vec::new() }.answer(false)
}

fn permitted(stream: &mut TcpStream) -> Result<()> {
    let answer = answer(stream)?;
    if answer.status == 200 {
        return Ok(());
    }
    Err(Error::other(format!("answered {} while measuring: {}", answer.status, answer.text())))
}
