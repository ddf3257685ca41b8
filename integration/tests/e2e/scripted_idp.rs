//! A provider that signs, lies, stalls and breaks as a test tells it to, on a real socket. What it
//! says when it is well is what the core's scenarios hear: the same code answers.

use std::collections::HashMap;
use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use lictor_core::testing::idp;
use lictor_core::{Callout, UnixTime};
use serde_json::{Value, json};

use crate::gateway::{Gateway, Plan, lay_over};
use crate::recorder::{Recorder, more, read_head};
use crate::tcp_server;

use idp::Idp;

/// Who it says to be; nobody but Envoy reaches it, and by another address.
pub const ISSUER: &str = "https://sso.example.com/realms/prefect";
/// Path of its keys.
pub const CERTS: &str = "/realms/prefect/certs";
/// Path of its metadata.
pub const METADATA: &str = "/realms/prefect/.well-known/openid-configuration";

/// What paths begin with that another port of the provider is asked for.
pub const ELSEWHERE: &str = "elsewhere:";

/// How a path is answered.
#[derive(Clone)]
pub enum Manner {
    /// After a while.
    Late(Duration),
    /// Half of it, and the connection is cut.
    Cut,
    /// With this instead, as this type.
    Instead(&'static str, Vec<u8>),
    /// Compressed, or so it says.
    Gzip,
    /// With a status and nothing else.
    Status(&'static str),
}

/// A running one. Its threads end with the process.
pub struct ScriptedIdp {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    idp: Mutex<Idp>,
    manners: Mutex<HashMap<&'static str, Manner>>,
    asked: Mutex<Vec<String>>,
}

impl ScriptedIdp {
    pub fn start() -> Self {
        let shared = Arc::new(Shared {
            idp: Mutex::new(Idp::new()),
            manners: Mutex::default(),
            asked: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        let port = tcp_server::serve(move |stream| serve(stream, &serving, ""));
        Self { port, shared }
    }

    /// Another port of the same provider. What it is asked for begins with [`ELSEWHERE`].
    pub fn elsewhere(&self) -> u16 {
        let serving = Arc::clone(&self.shared);
        tcp_server::serve(move |stream| serve(stream, &serving, ELSEWHERE))
    }

    /// What it signs with and says.
    pub fn script(&self) -> MutexGuard<'_, Idp> {
        self.shared.idp.lock().unwrap()
    }

    /// From now on a path is answered in this manner; `None` honestly.
    pub fn behave(&self, path: &'static str, manner: Option<Manner>) {
        let mut manners = self.shared.manners.lock().unwrap();
        match manner {
            Some(manner) => manners.insert(path, manner),
            None => manners.remove(path),
        };
    }

    /// How often a path was asked for.
    pub fn asked(&self, path: &str) -> usize {
        self.shared.asked.lock().unwrap().iter().filter(|asked| *asked == path).count()
    }

    /// A worker's access token.
    pub fn worker_token(&self) -> String {
        let idp = self.script();
        idp.sign(&idp.machine_claims(now()))
    }

    /// Settings that make it the login's issuer.
    pub fn settings(&self) -> Value {
        let inside = format!("http://127.0.0.1:{}/realms/prefect", self.port);
        json!({ "issuer": ISSUER, "idp": { "internal_url": inside } })
    }
}

/// A gateway between it and an upstream that writes down what it gets.
pub struct ScriptedGateway {
    pub idp: ScriptedIdp,
    pub recorder: Recorder,
    pub gateway: Gateway,
}

impl ScriptedGateway {
    pub fn start(name: &'static str, patch: &Value) -> Self {
        let (idp, recorder) = (ScriptedIdp::start(), Recorder::start());
        let gateway = Self::plan(name, &idp, &recorder, patch).start();
        Self { idp, recorder, gateway }
    }

    /// One of two workers, with further settings.
    pub fn plan(name: &'static str, idp: &ScriptedIdp, recorder: &Recorder, patch: &Value) -> Plan {
        let mut settings = idp.settings();
        lay_over(&mut settings, patch);
        Plan::new(name).keycloak(idp.port).prefect(recorder.port).workers(2).patch(settings)
    }
}

/// The time, as the filter's host will say it.
pub fn now() -> UnixTime {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixTime::from_millis(u64::try_from(now.as_millis()).unwrap())
}

fn serve(mut stream: TcpStream, shared: &Shared, at: &str) {
    let mut held = Vec::new();
    while let Some(head) = read_head(&mut stream, &mut held) {
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let lower = head.to_ascii_lowercase();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.and_then(|value| value.trim().parse().ok()).unwrap_or(0);
        while held.len() < length {
            if !more(&mut stream, &mut held) {
                return;
            }
        }
        let body: Vec<u8> = held.drain(..length).collect();
        shared.asked.lock().unwrap().push(format!("{at}{path}"));
        let manner = shared.manners.lock().unwrap().get(path.as_str()).cloned();
        let line = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("authorization").then(|| value.trim().to_owned())
        });
        let mut headers = vec![(":path", path)];
        headers.extend(line.map(|line| ("authorization", line)));
        if !answer(&mut stream, shared, headers, body, manner) {
            return;
        }
    }
}

/// Whether the connection goes on.
fn answer(
    stream: &mut TcpStream,
    shared: &Shared,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    manner: Option<Manner>,
) -> bool {
    let path = headers[0].1.as_str();
    // A further issuer's keys stand under its name.
    let further = path.strip_prefix("/further/").and_then(|rest| rest.strip_suffix("/certs"));
    let callout = Callout {
        cluster: further.unwrap_or("idp").to_owned(),
        headers: headers.clone(),
        body,
        timeout: Duration::ZERO,
    };
    let said = shared.idp.lock().unwrap().answer(&callout, now());
    let (status, said) = said.unwrap_or((503, Vec::new()));
    let status = format!("{status} Scripted");
    let (status, kind, coding, said) = match &manner {
        Some(Manner::Late(while_)) => {
            thread::sleep(*while_);
            (status, "application/json", "", said)
        }
        Some(Manner::Instead(kind, body)) => (status, *kind, "", body.clone()),
        Some(Manner::Gzip) => (status, "application/json", "content-encoding: gzip\r\n", said),
        Some(Manner::Status(status)) => ((*status).to_owned(), "text/plain", "", Vec::new()),
        Some(Manner::Cut) | None => (status, "application/json", "", said),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\n{coding}content-length: {}\r\n\r\n",
        said.len()
    );
    let cut = matches!(manner, Some(Manner::Cut));
    let sent = if cut { &said[..said.len() / 2] } else { &said[..] };
    stream.write_all(&[head.as_bytes(), sent].concat()).is_ok() && !cut
}
