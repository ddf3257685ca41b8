//! Redis for one stack: in memory alone, with a password of its own.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::error::Result;
use crate::launch::Launch;
use crate::layout::{Layout, write_private};
use crate::process::Running;
use crate::progress::Progress;
use crate::ready;
use crate::secrets::token;

/// Name of the part.
pub const PART: &str = "redis";

const READY_LIMIT: Duration = Duration::from_secs(30);
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// A Redis that can be started.
#[derive(Clone, Debug)]
pub struct Redis {
    /// Where it listens, on the loopback address.
    pub port: u16,
    /// Of its one user, `default`.
    pub password: String,
}

impl Redis {
    /// One with a new password.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn new(port: u16) -> Result<Self> {
        Ok(Self { port, password: token()? })
    }

    /// Its address with the password in it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://default:{}@127.0.0.1:{}/0", self.password, self.port)
    }

    /// How it is to be started. Writes its configuration.
    ///
    /// # Errors
    /// That can't be written.
    pub fn launch(&self, layout: &Layout) -> Result<Launch> {
        let file = layout.state.join("redis.conf");
        // In a file: everybody sees the arguments of a program.
        let text = format!(
            "bind 127.0.0.1\nport {}\nrequirepass {}\nsave \"\"\nappendonly no\ndaemonize no\n",
            self.port, self.password
        );
        write_private(&file, text.as_bytes())?;
        Ok(Launch {
            part: PART,
            program: "redis-server".into(),
            args: vec![file.to_string_lossy().into_owned()],
            env: Vec::new(),
            folder: layout.state.clone(),
            inputs: Vec::new(),
        })
    }

    /// Waits until it answers to its password.
    ///
    /// # Errors
    /// It ended or is not ready in time.
    pub fn wait_ready(&self, part: &Running, progress: &Progress) -> Result<()> {
        ready::wait(part, READY_LIMIT, progress, || {
            self.ping().map_err(|seen| format!("PONG at port {}; {seen}", self.port))
        })
    }

    fn ping(&self) -> std::result::Result<(), String> {
        let exchange = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
            stream.set_read_timeout(Some(ANSWER_LIMIT))?;
            stream.write_all(format!("AUTH {}\r\nPING\r\nQUIT\r\n", self.password).as_bytes())?;
            let mut said = String::new();
            stream.read_to_string(&mut said)?;
            Ok(said)
        };
        match exchange() {
            Ok(said) if said.contains("+PONG") => Ok(()),
            Ok(said) => Err(format!("it says {}", said.trim())),
            Err(cause) => Err(cause.to_string()),
        }
    }
}
