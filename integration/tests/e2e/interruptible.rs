//! A way to a local port that can be interrupted, as by a cable.

use std::io::copy;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::client::connect;
use crate::tcp_server;

/// A listener that passes connections on to another port.
pub struct Interruptible {
    pub port: u16,
    /// Both ends of every connection; `None` while it is interrupted.
    ends: Arc<Mutex<Option<Vec<TcpStream>>>>,
}

impl Interruptible {
    pub fn to(target: u16) -> Self {
        let ends = Arc::new(Mutex::new(Some(Vec::new())));
        let shared = Arc::clone(&ends);
        let pass = move |from: TcpStream| {
            let Ok(to) = connect(target) else { return };
            {
                let mut ends = shared.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(ends) = ends.as_mut() else { return };
                ends.extend([from.try_clone().unwrap(), to.try_clone().unwrap()]);
            }
            let (mut from_client, mut to_server) =
                (from.try_clone().unwrap(), to.try_clone().unwrap());
            thread::spawn(move || {
                let _ended = copy(&mut from_client, &mut to_server);
                let _ = to_server.shutdown(Shutdown::Write);
            });
            let (mut from_server, mut to_client) = (to, from);
            let _ended = copy(&mut from_server, &mut to_client);
            let _ = to_client.shutdown(Shutdown::Both);
        };
        Self { port: tcp_server::serve(pass), ends }
    }

    /// Ends every connection, and each new one at once.
    pub fn interrupt(&self) {
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner).take();
        for end in ends.into_iter().flatten() {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    pub fn restore(&self) {
        *self.ends.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
    }
}
