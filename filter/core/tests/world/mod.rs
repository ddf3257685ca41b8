//! The world of the scenarios: a clock that jumps, a generator that repeats itself, a provider that
//! signs anything, browsers with cookies, and Prefect as a list of what reached it.

#![allow(
    dead_code,
    missing_docs,
    clippy::missing_panics_doc,
    clippy::new_without_default,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "tests fail by panicking, and each of them uses a part"
)]

pub mod browser;
pub mod hostile;
pub mod idp;
pub mod logout;
pub mod machines;
pub mod outside;
pub mod store;
pub mod worker;

use core::time::Duration;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::answer::reply::Reply;
use crate::config::Config;
use crate::foundation::crypto::{Entropy, NoEntropy, sha256};
use crate::foundation::stream::StreamId;
use crate::foundation::time::UnixTime;
use crate::gate::decision::{DataStep, Decision, ResponseStep};
use crate::provider::callout::{Callout, CalloutReply};
use crate::site::{Services, SiteCall};
use crate::wire::http::edit::HeaderEdit;
use crate::wire::http::request::{RequestView, ResponseView};
use crate::wire::jose::signature::InRust;
use crate::wire::peer::{Certificate, Peer};
use crate::wire::websocket;
use crate::workers::{NoStore, SharedStore};
use crate::{Cx, Gate, Site};
use serde_json::{Value, json};

use idp::Idp;

pub const PUBLIC: &str = "https://prefect.example.com";
pub const ISSUER: &str = "https://sso.example.com/realms/prefect";
pub const AUTH_STRING: &str = "admin:planted-prefect-secret";
pub const AUTH_REQUEST_SECRET: &str = "planted-secret-of-the-proxy-in-front";
pub const CLIENT_SECRET: &str = "planted-client-secret";
/// The key of RFC 8037 appendix A.1.
pub const CLIENT_KEY: &str = r#"{"kty":"OKP","crv":"Ed25519",
    "d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
pub const API_KEY: &str = "lk_planted-api-key-of-a-worker";
pub const COOKIE_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// A generator that anybody can predict, so that equal inputs give equal decisions.
#[derive(Clone, Default)]
pub struct Repeatable(u64);

impl Repeatable {
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }
}

impl Entropy for Repeatable {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), NoEntropy> {
        for chunk in buffer.chunks_mut(32) {
            self.0 += 1;
            let block = sha256(&self.0.to_be_bytes());
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
        Ok(())
    }
}

/// The content type of a form.
pub const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

pub type Headers = Vec<(String, Vec<u8>)>;

/// What became of a request.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// Prefect got it, with these headers.
    Forwarded(Headers),
    /// Answered here.
    Reply(Reply),
    /// It still waits.
    Waiting,
    /// Its body is wanted. These headers go to the filter that holds them.
    Reading(Headers),
}

impl Outcome {
    pub fn reply(self) -> Reply {
        match self {
            Self::Reply(reply) => reply,
            other => panic!("no reply: {other:?}"),
        }
    }

    pub fn forwarded(self) -> Headers {
        match self {
            Self::Forwarded(headers) => headers,
            other => panic!("not forwarded: {other:?}"),
        }
    }

    pub fn status(&self) -> u16 {
        match self {
            Self::Forwarded(_) => 200,
            Self::Reply(reply) => reply.status,
            Self::Waiting | Self::Reading(_) => 0,
        }
    }
}

/// The edits of an answer that goes on.
pub fn edited(step: ResponseStep) -> HeaderEdit {
    match step {
        ResponseStep::Edit(edit) => edit,
        ResponseStep::Replace(reply) => panic!("replaced: {reply:?}"),
    }
}

/// What the client gets instead of an answer.
pub fn replaced(step: ResponseStep) -> Reply {
    match step {
        ResponseStep::Replace(reply) => reply,
        ResponseStep::Edit(edit) => panic!("goes on: {edit:?}"),
    }
}

pub fn header<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    headers.iter().find(|(n, _)| n == name).map(|(_, v)| core::str::from_utf8(v).unwrap())
}

pub fn reply_header<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    reply.headers().iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str())
}

pub fn code(reply: &Reply) -> String {
    let body: Value = serde_json::from_slice(&reply.body).expect("a JSON answer");
    body["code"].as_str().unwrap().to_owned()
}

pub struct World {
    pub now: UnixTime,
    pub entropy: Repeatable,
    pub idp: Idp,
    pub site: Site,
    pub log: Vec<String>,
    /// What the client has shown to Envoy.
    pub peer: Client,
    next_stream: u32,
}

pub fn configuration() -> Value {
    let digest: String = sha256(API_KEY.as_bytes()).iter().map(|b| format!("{b:02x}")).collect();
    json!({
        "public_url": PUBLIC,
        "issuer": ISSUER,
        "client_id": "prefect",
        "machines": {
            "hosts": ["api.prefect.example.com"],
            "api_keys": [{"name": "etl", "sha256": digest, "role": "worker"}]
        }
    })
}

/// The Envoy configurations that the repository offers.
pub const SAMPLES: [&str; 3] = [
    include_str!("../../../../compose/envoy.yaml"),
    include_str!("../../../../envoy/edge/envoy.yaml"),
    include_str!("../../../../envoy/local/envoy.yaml"),
];

pub fn environment(name: &str) -> Option<String> {
    let value = match name {
        "LICTOR_CLIENT_SECRET" => CLIENT_SECRET,
        "LICTOR_COOKIE_KEYS" => COOKIE_KEY,
        "LICTOR_PREFECT_AUTH_STRING" => AUTH_STRING,
        "LICTOR_AUTH_REQUEST_SECRET" => AUTH_REQUEST_SECRET,
        "LICTOR_CLIENT_KEY" => CLIENT_KEY,
        _ => return None,
    };
    Some(value.to_owned())
}

pub fn compile(configuration: &Value) -> Config {
    Config::compile(configuration.to_string().as_bytes(), &environment).unwrap()
}

/// The client's end of the connection.
pub struct Client {
    pub certificate: Option<Certificate>,
    pub address: Vec<u8>,
    pub http2: bool,
    pub answered_by_envoy: bool,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            certificate: None,
            address: b"192.0.2.1".to_vec(),
            http2: false,
            answered_by_envoy: false,
        }
    }
}

impl Peer for Client {
    fn certificate(&self) -> Option<Certificate> {
        self.certificate.clone()
    }

    fn address(&self) -> Vec<u8> {
        self.address.clone()
    }

    fn is_http2(&self) -> bool {
        self.http2
    }

    fn is_answered_by_envoy(&self) -> bool {
        self.answered_by_envoy
    }
}

static WORKERS: AtomicU64 = AtomicU64::new(1);

/// A host that lends only this store.
pub fn host(store: Rc<dyn SharedStore>) -> Services {
    Services {
        signatures: Rc::new(InRust),
        store,
        // Each worker is another one.
        entropy: Rc::new(RefCell::new(Repeatable(1_000_000 * WORKERS.fetch_add(1, Relaxed)))),
    }
}

/// Each line about a refusal says what was seen and what was wanted.
#[track_caller]
fn assert_complete(line: &str) {
    assert!(!line.contains("=\"\""), "an operator can't tell what to do: {line}");
    let is_of_stranger = line.contains("principal=\"-\"");
    assert!(!is_of_stranger || line.contains(" host=\""), "asked for which host? {line}");
}

impl World {
    /// A site that has its provider's metadata and keys.
    pub fn new() -> Self {
        Self::with(&configuration())
    }

    /// The same with other settings.
    pub fn with(settings: &Value) -> Self {
        let mut world = Self::starting(settings);
        world.work();
        assert!(world.site.is_ready(world.now), "{:?}", world.log);
        world
    }

    /// A site that has nothing yet.
    pub fn starting(configuration: &Value) -> Self {
        let mut world = Self {
            now: UnixTime::from_secs(1_800_000_000),
            entropy: Repeatable::default(),
            idp: Idp::new(),
            site: Site::new(compile(configuration), host(Rc::new(NoStore))),
            log: Vec::new(),
            peer: Client::default(),
            next_stream: 1,
        };
        world.site.census.settle();
        world
    }

    pub fn pass(&mut self, seconds: u64) {
        self.now = self.now.plus(Duration::from_secs(seconds));
    }

    pub fn cx(&mut self) -> Cx<'_> {
        Cx { site: &mut self.site, now: self.now, entropy: &mut self.entropy, peer: &self.peer }
    }

    /// Starts a request; it may come to wait for the site.
    pub fn begin(&mut self, headers: &Headers) -> (Gate, Outcome) {
        let mut gate = Gate::new(StreamId(self.next_stream));
        self.next_stream += 1;
        let view = RequestView { headers };
        let decision = gate.on_request(view, false, &mut self.cx());
        let outcome = self.settle(&mut gate, headers, decision);
        (gate, outcome)
    }

    /// A request on its own, until it is decided.
    pub fn request(&mut self, headers: &Headers) -> (Gate, Outcome) {
        let (gate, outcome) = self.begin(headers);
        if !matches!(outcome, Outcome::Waiting) {
            return (gate, outcome);
        }
        let mut outcomes = self.finish_waiting(vec![(gate, headers.clone())]);
        outcomes.remove(0)
    }

    /// A request with a body that an endpoint of ours reads, in pieces of so many bytes.
    pub fn post(&mut self, headers: &Headers, body: &[u8], piece: usize) -> Outcome {
        let (mut gate, outcome) = self.request(headers);
        if !matches!(outcome, Outcome::Reading(_)) {
            return outcome;
        }
        for held in (0..body.len()).step_by(piece).skip(1) {
            match gate.on_request_data(&body[..held], false, &mut self.cx()) {
                DataStep::Hold => {}
                DataStep::Answer(reply) => return Outcome::Reply(reply),
                other => panic!("{other:?}"),
            }
        }
        match gate.on_request_data(body, true, &mut self.cx()) {
            DataStep::Answer(reply) => {
                self.log_event(&mut gate);
                Outcome::Reply(reply)
            }
            DataStep::Hold => self.finish_waiting(vec![(gate, headers.clone())]).remove(0).1,
            other => panic!("{other:?}"),
        }
    }

    /// A socket whose upgrade Prefect has accepted, and whose client has shown nothing yet.
    pub fn unproved_socket(&mut self) -> Gate {
        let headers = request(
            "GET",
            "/api/events/out",
            &[
                ("upgrade", "websocket"),
                ("connection", "Upgrade"),
                ("sec-websocket-protocol", "prefect"),
            ],
        );
        let (mut gate, outcome) = self.request(&headers);
        outcome.forwarded();
        self.answer(&mut gate, "101");
        gate
    }

    /// Prefect answers with this status; gives what becomes of the answer's headers.
    pub fn answer(&mut self, gate: &mut Gate, status: &str) -> HeaderEdit {
        let headers = [(":status".to_owned(), status.as_bytes().to_vec())];
        edited(gate.on_response(ResponseView { headers: &headers }, &mut self.cx()))
    }

    /// Lets the site work, and wakes those that waited for it.
    pub fn finish_waiting(&mut self, waiting: Vec<(Gate, Headers)>) -> Vec<(Gate, Outcome)> {
        self.work();
        waiting
            .into_iter()
            .map(|(mut gate, headers)| {
                let view = RequestView { headers: &headers };
                let decision = gate.on_wake(view, &mut self.cx());
                let outcome = self.settle(&mut gate, &headers, decision);
                (gate, outcome)
            })
            .collect()
    }

    fn settle(&mut self, gate: &mut Gate, headers: &Headers, mut decision: Decision) -> Outcome {
        loop {
            self.log_event(gate);
            decision = match decision {
                Decision::Forward { permit: _, edit } => {
                    return Outcome::Forwarded(edited_head(headers, &edit));
                }
                Decision::Reply(reply) => return Outcome::Reply(reply),
                Decision::AwaitSite => return Outcome::Waiting,
                Decision::ReadBody(edit) | Decision::ForwardWithBody { permit: _, edit } => {
                    return Outcome::Reading(edited_head(headers, &edit));
                }
                Decision::Await(callout) => {
                    let answer = self.idp.answer(&callout, self.now);
                    let view = RequestView { headers };
                    gate.on_callout(reply_of(answer.as_ref()), view, &mut self.cx())
                }
            };
        }
    }

    fn log_event(&mut self, gate: &mut Gate) {
        let Some(event) = gate.take_event(&mut self.site, self.now) else { return };
        self.log.extend(event.line.clone().inspect(|line| assert_complete(line)));
        self.log.push(format!("{} {} {}", event.metric().name(), event.principal, event.role));
    }

    /// Everything that the site has to do now.
    pub fn work(&mut self) -> Vec<StreamId> {
        let mut woken = Vec::new();
        while let Some((call, callout)) = self.site.poll(self.now) {
            let answer = self.idp.answer(&callout, self.now);
            self.site.on_callout(call, reply_of(answer.as_ref()), self.now);
        }
        woken.extend(self.site.take_woken(self.now));
        self.log.extend(self.site.take_notices());
        woken
    }

    /// The site's next call, unanswered.
    pub fn poll(&mut self) -> Option<(SiteCall, Callout)> {
        self.site.poll(self.now)
    }
}

fn edited_head(headers: &Headers, edit: &HeaderEdit) -> Headers {
    let is_kept = |name: &String| {
        !edit.remove.iter().any(|own| own == name) && !edit.set.iter().any(|(set, _)| set == name)
    };
    let kept = headers.iter().filter(|(name, _)| is_kept(name)).cloned();
    let set = edit.set.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    kept.chain(set).collect()
}

pub fn reply_of(answer: Option<&(u16, Vec<u8>)>) -> CalloutReply<'_> {
    match answer {
        Some((status, body)) => CalloutReply::Answer { status: *status, encoded: false, body },
        None => CalloutReply::NoAnswer,
    }
}

/// Header lines of a request to the public host.
pub fn request(method: &str, path: &str, extra: &[(&str, &str)]) -> Headers {
    request_to("prefect.example.com", method, path, extra)
}

pub fn request_to(host: &str, method: &str, path: &str, extra: &[(&str, &str)]) -> Headers {
    let own = [(":method", method), (":path", path), (":authority", host), (":scheme", "https")];
    let lines = own.iter().chain(extra);
    lines.map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

/// The first frame of Prefect's clients.
pub fn auth_frame(token: &str) -> Vec<u8> {
    let text = json!({ "type": "auth", "token": token }).to_string();
    websocket::write(websocket::TEXT, text.as_bytes(), [1, 2, 3, 4])
}

pub fn basic(pair: &str) -> String {
    format!("Basic {}", crate::foundation::crypto::to_base64(pair.as_bytes()))
}
