//! What a cloud's load balancer is to TCP: connections to one port go to the next of its targets
//! that takes them. It knows nothing of TLS or HTTP.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::tcp_server;

/// Nothing listens where connecting takes this long.
const CONNECT: Duration = Duration::from_secs(2);

/// Serves until the tests end.
pub struct Balancer {
    pub port: u16,
    targets: Arc<Mutex<Vec<u16>>>,
}

impl Balancer {
    pub fn start() -> Self {
        let targets = Arc::new(Mutex::new(Vec::new()));
        let known = Arc::clone(&targets);
        let port = tcp_server::serve(move |client| serve(&client, &known));
        Self { port, targets }
    }

    /// New connections go there as well.
    pub fn add(&self, port: u16) {
        self.targets.lock().unwrap().push(port);
    }

    /// No new connection goes there; those that are open stay.
    pub fn take_out(&self, port: u16) {
        self.targets.lock().unwrap().retain(|target| *target != port);
    }
}

fn serve(client: &TcpStream, targets: &Mutex<Vec<u16>>) {
    let in_turn = {
        let mut targets = targets.lock().unwrap_or_else(PoisonError::into_inner);
        let in_turn = targets.clone();
        if !targets.is_empty() {
            targets.rotate_left(1);
        }
        in_turn
    };
    let to = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let connected =
        in_turn.into_iter().find_map(|port| TcpStream::connect_timeout(&to(port), CONNECT).ok());
    // Without a target the client finds its connection closed.
    let Some(target) = connected else { return };
    // Small frames of sockets are not to wait for more.
    let _slower = client.set_nodelay(true).and(target.set_nodelay(true));
    thread::scope(|scope| {
        scope.spawn(|| pass(client, &target));
        pass(&target, client);
    });
}

/// Passes on what one side says, and that it has no more to say.
fn pass(mut from: &TcpStream, mut to: &TcpStream) {
    let closes =
        if io::copy(&mut from, &mut to).is_ok() { Shutdown::Write } else { Shutdown::Both };
    let _gone = to.shutdown(closes);
    if closes == Shutdown::Both {
        let _gone = from.shutdown(closes);
    }
}
