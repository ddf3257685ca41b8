//! A worker with its provider, and what a test does with it.

use core::time::Duration;
use std::sync::LazyLock;

use base64::prelude::{BASE64_STANDARD, Engine};
use lictor_host::{Answer, Fault, Headers, Module, StreamId, Vm, headers};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::provider::{ISSUER, Provider};

pub const PUBLIC: &str = "https://prefect.example.com";
pub const AUTH_STRING: &str = "admin:planted-prefect-secret";
/// A user of an htpasswd file: name and password, and the line.
pub const HTPASSWD: (&str, &str) = (
    "reports:planted-password-of-reports",
    "reports:$2y$04$reportsreportsreportsuuqTdpf/EcyZFIZV5NzeCoA0ihvGAkk6",
);

/// A page load, as browsers mark it.
pub const NAVIGATION: [(&str, &str); 3] =
    [("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
/// A script's request.
pub const SCRIPT: [(&str, &str); 3] =
    [("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")];
/// A form of our own page.
pub const FORM: [(&str, &str); 4] = [
    ("sec-fetch-site", "same-origin"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
    ("origin", PUBLIC),
];

pub static MODULE: LazyLock<Module> =
    LazyLock::new(|| Module::built().unwrap_or_else(|cause| panic!("{cause}")));

/// Which call is to fail, counted from [`World::prepared`], and how.
pub type Plan = Option<(usize, Fault)>;

pub struct World {
    pub vm: Vm,
    pub provider: Provider,
    plan: Plan,
    /// The host calls of the preparation.
    pub prepared_calls: usize,
    /// The requests since then.
    pub streams: Vec<StreamId>,
    prepared: bool,
}

/// The key of a role.
pub fn key(role: &str) -> String {
    format!("lk_planted-key-of-{role}")
}

pub fn configuration() -> Value {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let keys = ["viewer", "operator", "worker", "admin"].map(|role| {
        let digest = digest(&SHA256, key(role).as_bytes());
        json!({"name": role, "sha256": hex(digest.as_ref()), "role": role})
    });
    json!({
        "public_url": PUBLIC, "issuer": ISSUER, "client_id": "prefect",
        "machines": {
            "hosts": ["api.prefect.example.com"], "api_keys": keys,
            "htpasswd": [{
                "line": HTPASSWD.1, "role": "worker", "expires": "2099-01-01T00:00:00Z",
            }],
            "certificates": [{"name": "edge", "role": "worker", "uri": "spiffe://x/edge"}],
        },
        "prefect": {"buffered_routes": true},
    })
}

impl World {
    /// A worker without configuration.
    pub fn loaded(plan: Plan) -> Self {
        Self::of(Self::vm(&MODULE), plan)
    }

    /// A VM of this module with the environment of every worker, without configuration.
    pub fn vm(module: &Module) -> Vm {
        let mut vm = Vm::load(module);
        for (name, value) in [
            ("LICTOR_CLIENT_SECRET", "planted-client-secret"),
            ("LICTOR_COOKIE_KEYS", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"),
            ("LICTOR_PREFECT_AUTH_STRING", AUTH_STRING),
            ("LICTOR_AUTH_REQUEST_SECRET", "planted-secret-of-the-proxy-in-front"),
        ] {
            vm.set_environment(name, value);
        }
        vm.add_cluster("idp");
        vm
    }

    /// A worker that has its provider's metadata and keys.
    pub fn ready(plan: Plan) -> Self {
        thread_local! {
            static READY: Vm = World::configured(&configuration().to_string()).vm;
        }
        Self::of(READY.with(|vm| vm.fork(&MODULE)), plan)
    }

    /// A worker with these settings, that has its provider's metadata and keys.
    pub fn configured(settings: &str) -> Self {
        Self::configured_of(Self::vm(&MODULE), settings)
    }

    /// The same with this VM.
    pub fn configured_of(vm: Vm, settings: &str) -> Self {
        let mut world = Self::of(vm, None);
        assert!(world.vm.configure(settings), "{:?}", world.vm.logs());
        world.work();
        world
    }

    fn of(vm: Vm, plan: Plan) -> Self {
        let (provider, streams) = (Provider::default(), Vec::new());
        Self { vm, provider, plan, prepared_calls: 0, streams, prepared: false }
    }

    /// What follows is what the test is about: calls fail from here on.
    pub fn prepared(&mut self) {
        assert_eq!(self.vm.dead(), None, "the preparation has failed");
        self.prepared = true;
        self.prepared_calls = self.vm.record().len();
        if let Some((number, fault)) = self.plan {
            let number = self.prepared_calls + number;
            self.vm.fail(move |call| call.number == number, fault);
        }
    }

    pub fn now(&self) -> u64 {
        self.vm.now().as_secs()
    }

    pub fn pass(&mut self, seconds: u64) {
        self.vm.pass(Duration::from_secs(seconds));
    }

    /// Lets the timers run and the provider answer, until nothing waits any more or a minute is
    /// over.
    pub fn work(&mut self) {
        for round in 0..300 {
            let Some(period) = self.vm.period() else { return };
            let least =
                if round < 20 { Duration::from_millis(1) } else { Duration::from_millis(250) };
            self.vm.pass(period.clamp(least, Duration::from_secs(1)));
            self.vm.tick();
            let busy = self.answer_calls();
            let waiting = |id: &StreamId| self.vm.stream(*id).is_some_and(|s| s.is_waiting());
            if self.vm.dead().is_some() || (!busy && !self.streams.iter().any(waiting)) {
                return;
            }
        }
    }

    fn answer_calls(&mut self) -> bool {
        let mut busy = false;
        while let Some(call) = self.vm.calls().first().cloned() {
            busy = true;
            let (status, body) = self.provider.answer(&call, self.now());
            self.vm.answer(call.token, headers::from_text(&[(":status", status)]), &body);
        }
        busy
    }

    /// A request with its body, if it has one.
    pub fn send(&mut self, request: &Request, body: Option<&[u8]>) -> StreamId {
        let id = self.begin(request, body.is_none());
        if let Some(body) = body {
            let (first, second) = body.split_at(body.len() / 2);
            self.vm.step("first half of the body");
            self.vm.body(id, first, false);
            self.vm.step("second half of the body");
            self.vm.body(id, second, true);
        }
        id
    }

    /// A request whose body comes later.
    pub fn send_open(&mut self, request: &Request) -> StreamId {
        self.begin(request, false)
    }

    fn begin(&mut self, request: &Request, end: bool) -> StreamId {
        let part = |name| headers::text(&request.headers, name).unwrap_or_default();
        let path = part(":path").split('?').next().unwrap_or_default();
        self.vm.step(&format!("{} {path}", part(":method")));
        let properties: Vec<_> =
            request.properties.iter().map(|(n, v)| (*n, v.as_slice())).collect();
        let lines = request.headers.clone();
        let id = self.vm.request_with(lines, end, &properties, request.buffered);
        if self.prepared {
            self.streams.push(id);
        }
        id
    }

    /// A request, until it is decided.
    pub fn decide(&mut self, request: &Request, body: Option<&[u8]>) -> StreamId {
        let id = self.send(request, body);
        self.answer_calls();
        if self.vm.stream(id).is_some_and(|stream| stream.is_waiting()) {
            self.work();
        }
        id
    }

    /// What a request without a body is answered.
    pub fn answered(&mut self, request: &Request) -> Option<Answer> {
        let id = self.decide(request, None);
        self.vm.stream(id)?.answer().cloned()
    }

    /// The upstream answers.
    pub fn respond(&mut self, id: StreamId, lines: &[(&str, &str)], body: &[u8]) {
        if self.vm.stream(id).is_none_or(|stream| stream.upstream().is_none()) {
            return;
        }
        self.vm.step("head of the answer");
        self.vm.respond(id, headers::from_text(lines), false);
        let (first, second) = body.split_at(body.len() / 2);
        self.vm.step("first half of the answer");
        self.vm.response_body(id, first, false);
        self.vm.step("second half of the answer");
        self.vm.response_body(id, second, true);
    }
}

/// A request that is about to be sent.
#[derive(Clone)]
pub struct Request {
    pub headers: Headers,
    pub properties: Vec<(&'static str, Vec<u8>)>,
    pub buffered: bool,
}

impl Request {
    pub fn new(method: &str, path: &str, extra: &[(&str, &str)]) -> Self {
        let own = [
            (":method", method),
            (":path", path),
            (":authority", "prefect.example.com"),
            (":scheme", "https"),
            ("x-request-id", "6c1a4c3e-0000-4000-8000-000000000001"),
        ];
        let headers = headers::from_text(&[&own, extra].concat());
        let properties = vec![
            ("source.address", b"192.0.2.1:40000".to_vec()),
            ("request.protocol", b"HTTP/1.1".to_vec()),
        ];
        Self { headers, properties, buffered: false }
    }

    /// With lines by which a client might pose as somebody.
    pub fn posing(mut self) -> Self {
        let lines = [("x-forwarded-user", "root"), ("x-auth-request-user", "user:root")];
        self.headers.extend(headers::from_text(&lines));
        self
    }

    /// On a route with the buffer filter.
    pub const fn buffered(mut self) -> Self {
        self.buffered = true;
        self
    }

    pub fn with_property(mut self, name: &'static str, value: &[u8]) -> Self {
        self.properties.retain(|(known, _)| *known != name);
        self.properties.push((name, value.to_vec()));
        self
    }
}

pub fn basic(pair: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(pair))
}
