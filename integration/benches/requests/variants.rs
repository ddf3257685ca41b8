//! What is measured: each way to judge a request, with the requests that are let through and one
//! that is not.

use std::env;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lictor_integration::error::{Error, Result};
use lictor_integration::layout::Layout;
use lictor_integration::module;
use lictor_integration::process::hex;
use lictor_integration::progress::Progress;
use lictor_integration::ready;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::connection::Pair;
use crate::gateway::{self, Gateway, Listener, SHOW, filter};
use crate::http1::Answer;
use crate::login::HOST;
use crate::tokens::{ISSUER, Signer};
use crate::{login, provider, sessions};

/// Distinct tokens, and distinct cookies, for "first seen": far more than are remembered, so that
/// each is forgotten when its turn comes again.
const TOKENS: usize = 4000;
const READY_LIMIT: Duration = Duration::from_secs(30);
const SECRETS: [&str; 3] =
    ["LICTOR_CLIENT_SECRET", "LICTOR_COOKIE_KEYS", "LICTOR_PREFECT_AUTH_STRING"];

/// Names, in the order of the table.
pub const NO_FILTER: &str = "no filter";
pub const FLOOR: &str = "floor";
pub const FLOOR_SESSION: &str = "floor, a session's edits";
pub const FLOOR_SIGNATURE: &str = "floor, and the signature";
pub const NATIVE_CACHED: &str = "jwt_authn, cached";
pub const NATIVE: &str = "jwt_authn, uncached";
pub const HOT: &str = "Lictor, bearer, hot";
pub const FIRST_SEEN: &str = "Lictor, bearer, first seen";
pub const COOKIE: &str = "Lictor, session cookie, hot";
pub const NEW_COOKIE: &str = "Lictor, session cookie, first seen";
pub const FEW_KEYS: &str = "Lictor, 10 API keys";
pub const MANY_KEYS: &str = "Lictor, 10,000 API keys";

/// An older build of the module, to compare with.
const OLDER: &str = "LICTOR_BENCH_OLDER";
pub const OLDER_HOT: &str = "older, bearer, hot";
pub const OLDER_FIRST_SEEN: &str = "older, bearer, first seen";
pub const OLDER_COOKIE: &str = "older, session cookie, hot";
pub const OLDER_FEW_KEYS: &str = "older, 10 API keys";

/// What an upstream gets to see of the first request: how `authorization` begins, and who asks.
type Seen = (&'static str, &'static str);

const UNCHANGED: Seen = ("Bearer ey", "");
const TAKEN_AWAY: Seen = ("", "");
const MACHINE: Seen = ("Basic ", "client:etl-worker");
const PERSON: Seen = ("Basic ", "user:");
const KEY: Seen = ("Basic ", "key:worker-9");

/// One of them.
pub struct Variant {
    name: &'static str,
    connections: Pair,
    upstream: Seen,
    /// Sent in turn.
    good: Vec<Vec<u8>>,
    next: usize,
    /// What is refused with 401; `None` where nothing is.
    bad: Option<Vec<u8>>,
}

impl Variant {
    fn new(
        name: &'static str,
        port: u16,
        upstream: Seen,
        good: Vec<Vec<u8>>,
        bad: Option<Vec<u8>>,
    ) -> Result<Self> {
        let connections = Pair::to(port).map_err(failed(name))?;
        Ok(Self { name, connections, upstream, good, next: 0, bad })
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Shows that the right requests are let through with the right edits, and no others.
    pub fn prove(&mut self) -> Result<()> {
        let good = self.good[0].clone();
        let asking = [&good[..good.len() - 2], format!("{SHOW}: 1\r\n\r\n").as_bytes()].concat();
        self.expect(&good, 200)?;
        let shown = self.expect(&asking, 200)?;
        let (authorization, user) = self.upstream;
        for (name, wanted) in [("authorization", authorization), ("x-auth-request-user", user)] {
            // Envoy leaves an absent header out, or shows a dash.
            let seen = shown.header(&format!("shown-{name}")).unwrap_or_default().trim_matches('-');
            if !seen.starts_with(wanted) || seen.is_empty() != wanted.is_empty() {
                return Err(Error::new(format!("{}: an upstream sees {name}: {seen}", self.name))
                    .wanted(format!("one that begins with {wanted:?} before it is measured")));
            }
        }
        match self.bad.clone() {
            Some(bad) => self.expect(&bad, 401).map(drop),
            None => Ok(()),
        }
    }

    fn expect(&mut self, request: &[u8], status: u16) -> Result<Answer> {
        let answer = self.connections.exchange(request).map_err(failed(self.name))?;
        if answer.status == status {
            return Ok(answer);
        }
        Err(Error::new(format!("{}: {} {}", self.name, answer.status, answer.text()))
            .wanted(format!("{status} before it is measured")))
    }

    /// Sends so many requests and waits for all their answers.
    pub fn requests(&mut self, count: usize) -> Result<()> {
        let from = self.next;
        self.next = (from + count) % self.good.len();
        let requests = self.good.iter().cycle().skip(from).take(count).map(Vec::as_slice);
        self.connections.send(requests).map_err(failed(self.name))
    }
}

/// Starts what they need and waits until all of it serves.
pub fn start(layout: &Layout, progress: &Progress) -> Result<(Vec<Variant>, Gateway)> {
    let lictor = module::build(layout, module::FILTER, progress)?;
    let floor = module::build(layout, "lictor-floor", progress)?;
    let signer = Arc::new(Signer::new()?);
    let tokens = tokens(&signer, progress);
    let provider = provider::start(&signer).map_err(failed("provider"))?;

    let guard = |id: &str, keys: usize| {
        gateway::module(id, &lictor, &settings(provider, keys).to_string(), &SECRETS)
    };
    let floor = |id: &str, edits: &str| Some(gateway::module(id, &floor, edits, &[]));
    let older = env::var_os(OLDER).map(PathBuf::from);
    let older = older
        .map(|path| gateway::module("older", &path, &settings(provider, 10).to_string(), &SECRETS));
    let ports = free_ports::<9>()?;
    let filters = [
        None,
        floor("floor", "machine"),
        floor("floor-session", "session"),
        floor("floor-signature", &signer.jwks().to_string()),
        Some(jwt_authn(&signer, true)),
        Some(jwt_authn(&signer, false)),
        Some(guard("lictor", 10)),
        Some(guard("many-keys", 10_000)),
        older.clone(),
    ];
    let listeners = ports.into_iter().zip(filters).map(|(port, filter)| Listener { port, filter });
    let listeners: Vec<Listener> = listeners.collect();
    let mut gateway = gateway::start(layout, &listeners, provider, &environment(), progress)?;
    await_ready(&mut gateway, &ports, progress)?;

    let [bare, floor, floor_session, floor_signature, cached, uncached, few, many, old] = ports;
    let cookie = logged_in(few)?;
    let text = settings(provider, 10).to_string();
    let new_cookies = sessions::cookies(&text, &environment(), TOKENS)?;
    let hot = bearer(&tokens[0]);
    let forged = || Some(api_request(&forge(&hot)));
    let first_seen: Vec<Vec<u8>> =
        tokens[1..].iter().map(|token| api_request(&bearer(token))).collect();
    let new_cookies = new_cookies.iter().map(|cookie| api_request(&from_a_page(cookie))).collect();
    let mut variants = vec![
        Variant::new(NO_FILTER, bare, UNCHANGED, always(&hot), None)?,
        Variant::new(FLOOR, floor, MACHINE, always(&hot), None)?,
        Variant::new(FLOOR_SESSION, floor_session, PERSON, always(&cookie), None)?,
        Variant::new(FLOOR_SIGNATURE, floor_signature, MACHINE, first_seen.clone(), None)?,
        Variant::new(NATIVE_CACHED, cached, TAKEN_AWAY, always(&hot), forged())?,
        Variant::new(NATIVE, uncached, TAKEN_AWAY, always(&hot), forged())?,
        Variant::new(HOT, few, MACHINE, always(&hot), forged())?,
        Variant::new(FIRST_SEEN, few, MACHINE, first_seen.clone(), forged())?,
        Variant::new(COOKIE, few, PERSON, always(&cookie), Some(api_request(&forge(&cookie))))?,
        Variant::new(NEW_COOKIE, few, PERSON, new_cookies, None)?,
        Variant::new(FEW_KEYS, few, KEY, always(&last_key(10)), unknown())?,
        Variant::new(MANY_KEYS, many, KEY, always(&last_key(10_000)), unknown())?,
    ];
    if older.is_some() {
        variants.extend(older_variants(old, &hot, first_seen)?);
    }
    Ok((variants, gateway))
}

fn older_variants(port: u16, hot: &str, first_seen: Vec<Vec<u8>>) -> Result<[Variant; 4]> {
    let cookie = logged_in(port)?;
    let forged = || Some(api_request(&forge(hot)));
    Ok([
        Variant::new(OLDER_HOT, port, MACHINE, always(hot), forged())?,
        Variant::new(OLDER_FIRST_SEEN, port, MACHINE, first_seen, forged())?,
        Variant::new(OLDER_COOKIE, port, PERSON, always(&cookie), None)?,
        Variant::new(OLDER_FEW_KEYS, port, KEY, always(&last_key(10)), unknown())?,
    ])
}

fn always(credential: &str) -> Vec<Vec<u8>> {
    vec![api_request(credential)]
}

fn last_key(keys: usize) -> String {
    bearer(&api_key(keys - 1))
}

fn unknown() -> Option<Vec<u8>> {
    Some(api_request(&bearer(&api_key(usize::MAX))))
}

/// The headers of a person who has just logged in at this port.
fn logged_in(port: u16) -> Result<String> {
    let cookie = Pair::to(port).and_then(|mut pair| login::session_cookie(&mut pair));
    Ok(from_a_page(&cookie.map_err(failed("the login"))?))
}

fn tokens(signer: &Signer, progress: &Progress) -> Vec<String> {
    let step = progress.step("tokens", "signing");
    let tokens: Vec<String> = (0..=TOKENS).map(|number| signer.access_token(number)).collect();
    step.done(&format!("{TOKENS}, {} bytes each", tokens[0].len()));
    tokens
}

fn await_ready(gateway: &mut Gateway, ports: &[u16], progress: &Progress) -> Result<()> {
    let step = progress.step("envoy", "starting");
    for port in ports {
        ready::wait(&gateway.running, READY_LIMIT, progress, || is_ready(*port))?;
    }
    gateway.find_worker()?;
    step.done("serves");
    Ok(())
}

fn settings(provider: u16, keys: usize) -> Value {
    let keys: Vec<Value> = (0..keys)
        .map(|number| {
            let digest = hex(&Sha256::digest(api_key(number)));
            json!({ "name": format!("worker-{number}"), "sha256": digest, "role": "worker" })
        })
        .collect();
    json!({
        "public_url": format!("https://{HOST}"),
        "issuer": ISSUER,
        "client_id": "prefect",
        "idp": { "internal_url": format!("http://127.0.0.1:{provider}/realms/prefect") },
        // One session lasts for the whole run: no refresh is among what is measured.
        "session": { "idle": "5h", "recheck": "1h" },
        "machines": { "api_keys": keys },
    })
}

fn environment() -> [(&'static str, String); 3] {
    let key = URL_SAFE_NO_PAD.encode(Sha256::digest("the cookie key of the benchmark"));
    let [client, cookies, prefect] = SECRETS;
    [
        (client, "client-secret-of-the-benchmark".to_owned()),
        (cookies, key),
        (prefect, "admin:prefect-auth-string-of-the-benchmark".to_owned()),
    ]
}

fn jwt_authn(signer: &Signer, cached: bool) -> Value {
    let mut provider = json!({
        "issuer": ISSUER, "audiences": ["prefect"],
        "local_jwks": { "inline_string": signer.jwks().to_string() },
    });
    if cached {
        provider["jwt_cache_config"] = json!({ "jwt_cache_size": 1024 });
    }
    let settings = json!({
        "providers": { "sso": provider },
        "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "sso" } }],
    });
    filter("jwt_authn", "jwt_authn.v3.JwtAuthentication", settings)
}

fn is_ready(port: u16) -> std::result::Result<(), String> {
    let request = format!("GET /oauth2/ready HTTP/1.1\r\nhost: {HOST}\r\n\r\n");
    let answer = Pair::to(port).and_then(|mut pair| pair.exchange(request.as_bytes()));
    match answer {
        // `jwt_authn` answers 401, the others without Lictor 200.
        Ok(answer) if matches!(answer.status, 200 | 401) => Ok(()),
        Ok(answer) => Err(format!("it to be ready; {} {}", answer.status, answer.text())),
        Err(cause) => Err(format!("port {port} to answer; {cause}")),
    }
}

/// A request of Prefect's client to its API.
fn api_request(credential: &str) -> Vec<u8> {
    format!(
        "GET /api/flows/6b1de6a2-2f3b-4b8e-9d7a-0c8b8f1a5e21 HTTP/1.1\r\nhost: {HOST}\r\n\
         accept: */*\r\naccept-encoding: gzip, deflate\r\nconnection: keep-alive\r\n\
         user-agent: prefect/3.8.8 (API 0.8.4)\r\n{credential}\r\n\r\n"
    )
    .into_bytes()
}

fn from_a_page(cookie: &str) -> String {
    format!(
        "cookie: {cookie}\r\nsec-fetch-site: same-origin\r\nsec-fetch-mode: cors\r\n\
         sec-fetch-dest: empty"
    )
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}")
}

fn api_key(number: usize) -> String {
    let random = Sha256::digest(format!("API key {number} of the benchmark"));
    format!("lk_{}", URL_SAFE_NO_PAD.encode(random))
}

/// The same with one character changed, in the middle of a signature or of what is sealed.
fn forge(credential: &str) -> String {
    // The first line holds what is secret.
    let line = credential.lines().next().unwrap_or_default();
    let at = line.len() - 40;
    let other = if &credential[at..=at] == "A" { "B" } else { "A" };
    format!("{}{other}{}", &credential[..at], &credential[at + 1..])
}

fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut ports = [0; N];
    // All held until the end, so that none is given out twice.
    let mut held = Vec::new();
    for port in &mut ports {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed("no free port"))?;
        *port = listener.local_addr().map_err(failed("no free port"))?.port();
        held.push(listener);
    }
    Ok(ports)
}

fn failed(what: &'static str) -> impl Fn(std::io::Error) -> Error {
    move |cause| Error::new(format!("{what}: {cause}"))
}
