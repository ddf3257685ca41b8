//! What is rewritten of Prefect's answers, whatever an upstream sends: whole or not at all, and the
//! connection stays in step.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lictor_core::testing::outside::companion_script;
use serde_json::json;

use super::{Story, story};
use crate::client::Request;
use crate::cookie_client::CookieClient;
use crate::gateway::{Gateway, Plan};
use crate::http1::exchange;
use crate::keycloak_admin::allow_callback;
use crate::keycloak_login::{log_in, logged_in};
use crate::recorder::read_head;
use crate::sample_data::SampleData;
use crate::tcp_server;
use crate::world::{eventually, world};

const ABOUT: &str = "rewriting";
const PAGE: &str = "<!doctype html><html><head><title>x</title></head><body></body></html>";

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "settings that are none pass unchanged, and the connection goes on", settings)
            .apart(),
        story(ABOUT, "pages are linked to the companion, whatever their length and coding", pages)
            .apart(),
        story(ABOUT, "HEAD and conditions of a page are dealt with", conditions).apart(),
        story(ABOUT, "Prefect's real pages have it, its files and scripts do not", real),
        story(ABOUT, "hashed files are kept by browsers", assets),
        story(ABOUT, "what can't be masked is cut off, not shown", unmasked).apart(),
        story(
            ABOUT,
            "Prefect's redirects and next pages fit the name that the client used",
            addresses,
        ),
    ]
}

/// What is answered to each path: bytes that a test has written.
type Answers = Vec<(&'static str, Vec<u8>)>;

/// An upstream that answers so.
#[derive(Clone)]
struct Upstream(Arc<Mutex<Answers>>);

impl Upstream {
    fn start(answers: Answers) -> (Self, u16) {
        let upstream = Self(Arc::new(Mutex::new(answers)));
        let serving = upstream.clone();
        let port = tcp_server::serve(move |stream| serve(stream, &serving));
        (upstream, port)
    }

    /// From now on it answers so.
    fn answer(&self, answers: Answers) {
        *self.0.lock().unwrap() = answers;
    }

    fn answer_to(&self, path: &str) -> Vec<u8> {
        let answers = self.0.lock().unwrap();
        let known = answers.iter().find(|(known, _)| *known == path);
        known.map_or_else(|| answer("application/json", "", b"true"), |(_, bytes)| bytes.clone())
    }
}

fn serve(mut stream: TcpStream, upstream: &Upstream) {
    let mut held = Vec::new();
    while let Some(head) = read_head(&mut stream, &mut held) {
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let told = upstream.answer_to(path);
        let mut bytes = told.as_slice();
        // Whoever asks on a condition learns no more.
        let head = head.to_ascii_lowercase();
        if ["if-none-match:", "if-modified-since:", "range:", "if-range:"]
            .iter()
            .any(|name| head.contains(name))
        {
            bytes = b"HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\n\r\n";
        }
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let bytes = if method == "HEAD" { &bytes[..end] } else { bytes };
        if stream.write_all(bytes).is_err() {
            return;
        }
    }
}

fn answer(kind: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn chunked(kind: &str, body: &[u8], piece: usize) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n")
            .into_bytes();
    for part in body.chunks(piece) {
        bytes.extend(format!("{:x}\r\n", part.len()).into_bytes());
        bytes.extend([part, b"\r\n"].concat());
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

fn scene(name: &'static str, user: &str, answers: Answers) -> (Gateway, CookieClient) {
    let (gateway, visitor, _) = changing_scene(name, user, answers);
    (gateway, visitor)
}

/// The same, with an upstream that can be told to answer otherwise.
fn changing_scene(
    name: &'static str,
    user: &str,
    answers: Answers,
) -> (Gateway, CookieClient, Upstream) {
    let (upstream, port) = Upstream::start(answers);
    let gateway = Plan::new(name).prefect(port).start();
    allow_callback(&gateway.gate.origin());
    let mut visitor = CookieClient::new(&gateway.gate);
    log_in(&mut visitor, "/", user);
    (gateway, visitor, upstream)
}

/// Asks twice on one connection: what comes behind a rewritten body is in order.
#[track_caller]
fn body_of(
    gateway: &Gateway,
    alice: &CookieClient,
    request: Request,
) -> (Vec<u8>, Vec<(String, String)>) {
    let cookie = alice.jar.header().unwrap();
    let host = gateway.gate.public_host();
    let mut stream = gateway.gate.connect("prefect.localhost").unwrap();
    let first = request.header("cookie", &cookie).bytes(&host);
    let first = exchange(&mut stream, &first, false).unwrap().expect(200);
    let second = Request::get("/api/admin/version").fetch().header("cookie", &cookie).bytes(&host);
    let second = exchange(&mut stream, &second, false).unwrap().expect(200);
    assert_eq!(second.text(), "true", "out of step");
    (first.body, first.headers)
}

fn settings() {
    let (gateway, alice, upstream) = changing_scene("settings", "alice", Vec::new());
    let large = format!("{{\"auth\":\"BASIC\",\"x\":\"{}\"}}", "y".repeat(100_000));
    for (number, (body, sent)) in [
        (b"no JSON".to_vec(), answer("application/json", "", b"no JSON")),
        (b"{\"auth\":".to_vec(), answer("application/json", "", b"{\"auth\":")),
        (b"[]".to_vec(), answer("application/json", "", b"[]")),
        (
            b"{\"auth\":1}".to_vec(),
            answer("application/json", "content-encoding: gzip\r\n", b"{\"auth\":1}"),
        ),
        (large.clone().into_bytes(), chunked("application/json", large.as_bytes(), 1000)),
    ]
    .into_iter()
    .enumerate()
    {
        upstream.answer(vec![("/ui-settings", sent)]);
        let (got, _) = body_of(&gateway, &alice, Request::get("/ui-settings").fetch());
        assert!(got == body, "{number}: {}", String::from_utf8_lossy(&got[..got.len().min(200)]));
        gateway.admin.assert_vm_alive();
    }
    let good = br#"{"auth":"BASIC","api_url":"http://x/api","a":1}"#;
    for piece in [1, 20] {
        let sent = chunked("application/json", good, piece);
        upstream.answer(vec![("/ui-settings", sent)]);
        let (got, _) = body_of(&gateway, &alice, Request::get("/ui-settings").fetch());
        let got: serde_json::Value = serde_json::from_slice(&got).unwrap();
        assert_eq!(got, json!({"auth": null, "api_url": "/api", "a": 1}));
    }
}

fn pages() {
    let link = format!(
        "<head><script defer src=\"/oauth2/companion.js?v={}\"></script>",
        companion_script().1
    );
    let linked = PAGE.replace("<head>", &link).into_bytes();
    let large = [PAGE.as_bytes(), &b"z".repeat(10 * 1024 * 1024)].concat();
    let large_linked = [linked.as_slice(), &b"z".repeat(10 * 1024 * 1024)].concat();
    let headless = b"w".repeat(10 * 1024 * 1024);
    let (gateway, alice) = scene(
        "pages",
        "alice",
        vec![
            ("/plain", answer("text/html; charset=utf-8", "etag: \"1\"\r\n", PAGE.as_bytes())),
            ("/bytes", chunked("text/html", PAGE.as_bytes(), 1)),
            ("/large", answer("text/html", "", &large)),
            ("/headless", chunked("text/html", &headless, 70_000)),
            ("/lie", answer("text/html", "content-encoding: gzip\r\n", PAGE.as_bytes())),
            ("/other", answer("text/plain", "etag: \"1\"\r\n", PAGE.as_bytes())),
        ],
    );
    for (path, wanted) in [
        ("/plain", &linked),
        ("/bytes", &linked),
        ("/large", &large_linked),
        ("/headless", &headless),
        ("/lie", &PAGE.as_bytes().to_vec()),
        ("/other", &PAGE.as_bytes().to_vec()),
    ] {
        let request = Request::get(path).navigation_from("same-origin");
        let (got, headers) = body_of(&gateway, &alice, request);
        assert!(got == *wanted, "{path}: {} bytes for {}", got.len(), wanted.len());
        let has = |name: &str| headers.iter().any(|(n, _)| n == name);
        assert_eq!(has("etag"), path == "/other", "{path}");
    }
    // A script that asks for the same gets it as it is.
    let (got, _) = body_of(&gateway, &alice, Request::get("/plain").fetch());
    assert_eq!(got, PAGE.as_bytes());
    gateway.admin.assert_vm_alive();
}

fn conditions() {
    let page = answer("text/html", "etag: \"1\"\r\nlast-modified: x\r\n", PAGE.as_bytes());
    let settings = answer("application/json", "etag: \"1\"\r\n", br#"{"auth":"BASIC"}"#);
    let other = answer("text/plain", "etag: \"1\"\r\n", b"other");
    let answers = vec![("/page", page), ("/ui-settings", settings), ("/other.txt", other)];
    let (gateway, mut alice) = scene("conditions", "alice", answers);
    let head = alice.send(Request::new("HEAD", "/page").header("sec-fetch-site", "same-origin"));
    assert_eq!(head.status, 200);
    assert!(!head.has("content-length") && !head.has("etag") && head.body.is_empty(), "{head:?}");
    for condition in [
        ("if-none-match", "\"1\""),
        ("if-modified-since", "Sat, 28 Nov 2026 12:00:00 GMT"),
        ("range", "bytes=0-3"),
        ("if-range", "\"1\""),
    ] {
        let request = Request::get("/ui-settings").fetch().headers(&[condition]);
        let (got, _) = body_of(&gateway, &alice, request);
        assert!(String::from_utf8_lossy(&got).contains("\"auth\":null"), "{condition:?}");
        // What is not rewritten is asked for as the browser asks.
        let request = Request::get("/other.txt").fetch().headers(&[condition]);
        assert_eq!(alice.send(request).status, 304, "{condition:?}");
        let request = Request::get("/page").navigation_from("same-origin").headers(&[condition]);
        let (got, _) = body_of(&gateway, &alice, request);
        assert!(String::from_utf8_lossy(&got).contains("/companion.js"), "{condition:?}");
    }
}

fn real() {
    let mut alice = logged_in("alice");
    for page in ["/", "/v2/dashboard", "/dashboard"] {
        let mut answer = alice.navigate(page);
        if answer.status == 307 {
            let to = answer.location().to_owned();
            answer = alice.navigate(to.strip_prefix(&world().gate.origin()).unwrap_or(&to));
        }
        let answer = answer.expect(200);
        assert_eq!(answer.text().matches("/oauth2/companion.js?v=").count(), 1, "{page}");
        assert_eq!(answer.header("cache-control"), Some("private, no-cache"), "{page}");
        assert!(!answer.has("content-encoding") && !answer.has("etag"), "{page}");
    }
    for path in ["/robots.txt", "/api/docs", "/openapi.json"] {
        let answer = alice.fetch(path);
        assert!(!answer.text().contains("companion.js"), "{path}");
    }
    let docs = alice.navigate("/docs").expect(200);
    let policies: Vec<&str> = docs.all("content-security-policy").collect();
    assert!(policies.contains(&"sandbox allow-scripts"), "{policies:?}");
    let script = alice.fetch(&format!("/oauth2/companion.js?v={}", companion_script().1));
    let script = script.expect(200);
    assert_eq!(script.text(), companion_script().0);
    assert_eq!(script.header("cache-control"), Some("public, max-age=31536000, immutable"));
    let other = alice.fetch("/oauth2/companion.js?v=other").expect(200);
    assert_eq!(other.header("cache-control"), Some("no-cache"));
}

/// The address of a script of the UI's pages.
fn script_of(page: &str) -> String {
    let sources = page.split("src=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let own = sources.filter(|source| source.contains("/assets/") && source.ends_with(".js"));
    own.last().expect("a script").to_owned()
}

fn assets() {
    let mut alice = logged_in("alice");
    let path = script_of(&alice.navigate("/v2/dashboard").expect(200).text());
    let answer = alice.send(Request::get(&path).fetch().header("accept-encoding", "gzip"));
    let answer = answer.expect(200);
    let caching = answer.header("cache-control").unwrap_or_default();
    assert!(caching.contains("private") && !caching.contains("no-store"), "{caching}");
    assert!(!answer.all("vary").any(|vary| vary.contains("Cookie")), "kept apart for each session");
    let tag = answer.header("etag").expect("something to ask by").to_owned();
    let again = alice.send(Request::get(&path).fetch().header("if-none-match", tag));
    assert_eq!((again.status, again.body.len()), (304, 0));
}

fn addresses() {
    let world = world();
    let origin = world.gate.origin();
    SampleData::make(world.layout.ports.prefect);
    let mut alice = logged_in("alice");
    let moved = alice.post("/api/flows/filter/", "{}").expect(307);
    assert_eq!(moved.location(), format!("{origin}/api/flows/filter"));
    let moved = alice.send(Request::get("/v2").navigation_from("same-origin")).expect(307);
    let to = moved.location();
    assert!(to == "/v2/" || to == format!("{origin}/v2/"), "{to}");
    eventually("a second page of events", Duration::from_secs(30), || {
        let events = alice.post("/api/events/filter", r#"{"limit":1}"#).expect(200).json();
        let next = events["next_page"].as_str()?.to_owned();
        assert!(next.starts_with(&format!("{origin}/api/events/filter")), "{next}");
        Some(())
    });
}

/// What must be masked and can't be read reaches nobody who may have no secrets, whatever it says
/// of itself.
fn unmasked() {
    let document = br#"{"block_type_id":"1","name":"db","data":{"value":{"password":"in-clear"}}}"#;
    let broken = &document[..document.len() - 1];
    let large = [&document[..], &b" ".repeat(1_000_000)].concat();
    let (gateway, mut carol) = scene(
        "unmasked",
        "carol",
        vec![
            ("/api/block_documents/1", answer("application/json", "etag: \"1\"\r\n", document)),
            ("/api/block_documents/2", answer("application/json", "", broken)),
            (
                "/api/block_documents/3",
                answer("application/json", "content-encoding: gzip\r\n", broken),
            ),
            ("/api/block_documents/4", chunked("application/json", &large, 16_000)),
            ("/api/block_documents/5", chunked("application/json", document, 1)),
        ],
    );
    for number in [1, 5] {
        let seen = carol.fetch(&format!("/api/block_documents/{number}")).expect(200);
        assert_eq!(seen.json(), json!({ "block_type_id": "1", "name": "db", "data": {} }));
        assert!(!seen.has("etag"));
    }
    for number in [2, 3, 4] {
        let request = Request::get(format!("/api/block_documents/{number}")).fetch();
        let request = request.header("cookie", carol.jar.header().unwrap());
        let mut stream = gateway.gate.connect("prefect.localhost").unwrap();
        stream.write_all(&request.bytes(&gateway.gate.public_host())).unwrap();
        let mut seen = Vec::new();
        // It is cut off: an end without a word of TLS is an error to the reader.
        let cut = stream.read_to_end(&mut seen);
        let seen = String::from_utf8_lossy(&seen);
        assert!(!seen.contains("in-clear"), "{number}: {seen}");
        assert!(!seen.ends_with("\r\n0\r\n\r\n"), "{number} has ended well: {seen}");
        let in_time = !matches!(&cut, Err(why) if why.kind() == ErrorKind::WouldBlock);
        assert!(in_time, "{number} is held for ever");
    }
    eventually("the log says so of each", Duration::from_secs(5), || {
        let log = fs::read_to_string(gateway.layout.log("envoy")).unwrap();
        (log.matches("could not be masked").count() == 3).then_some(())
    });
    gateway.admin.assert_vm_alive();
}
