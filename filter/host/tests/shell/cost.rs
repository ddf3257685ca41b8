//! What each kind of request costs at the border of the VM: calls to the host, bytes, blocks. The
//! table in the repository says how much.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use lictor_host::{StreamId, headers};
use serde_json::json;

use crate::browser::Browser;
use crate::frame;
use crate::provider::{CLIENT, CLIENT_SECRET, FIRST, machine, sign};
use crate::world::{MODULE, NAVIGATION, Request, SCRIPT, World, basic, configuration, key};

/// What a client sends beside its credential.
const LINES: [(&str, &str); 5] = [
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0"),
    ("accept", "application/json, text/plain, */*"),
    ("accept-encoding", "gzip, deflate, br"),
    ("accept-language", "en-US,en;q=0.9"),
    ("x-forwarded-for", "192.0.2.1"),
];

/// What Prefect's answer to a request of its API has.
const ANSWER: [(&str, &str); 4] = [
    (":status", "200"),
    ("content-type", "application/json"),
    ("content-length", "2"),
    ("server", "uvicorn"),
];

#[derive(Debug, Default, PartialEq, Eq)]
struct Cost {
    calls: BTreeMap<&'static str, usize>,
    bytes_out: usize,
    bytes_in: usize,
    blocks: usize,
}

/// A worker, and what a row of the table makes it do again and again.
type Step = Box<dyn FnMut(&mut World)>;
/// What comes before.
type Prepare = fn(&mut World) -> Step;

/// Each kind of request, with what comes before the one that is measured.
const KINDS: [(&str, Prepare); 13] = [
    ("no credential", |_| repeated(get("/api/flows/1", &[]), 401)),
    ("page load without a session", |_| repeated(get("/runs", &NAVIGATION), 302)),
    ("public path", |_| repeated(get("/api/health", &[]), 200)),
    ("API key", |_| repeated(get("/api/flows/1", &[("x-api-key", &key("worker"))]), 200)),
    ("access token, known", |world| {
        let token = format!("Bearer {}", sign(FIRST, &machine(world.now())));
        repeated(get("/api/flows/1", &[("authorization", &token)]), 200)
    }),
    ("access token, first seen", |world| {
        let now = world.now();
        let mut number = 0;
        Box::new(move |world| {
            number += 1;
            let mut claims = machine(now);
            claims["jti"] = json!(format!("{number:08}"));
            let token = format!("Bearer {}", sign(FIRST, &claims));
            repeated(get("/api/flows/1", &[("authorization", &token)]), 200)(world);
        })
    }),
    ("client credentials, known", |world| {
        let pair = basic(&format!("{CLIENT}:{CLIENT_SECRET}"));
        let request = get("/api/flows/1", &[("authorization", &pair)]);
        world.decide(&request, None);
        repeated(request, 200)
    }),
    ("session, known", |world| {
        let request = logged_in(world).request("GET", "/api/flows/1", &browser_lines());
        repeated(request, 200)
    }),
    ("session, first seen", |world| {
        let cookies: Vec<_> = (0..ROUNDS).map(|_| logged_in(world)).collect();
        // Another worker, that has not opened them yet.
        *world = worker(Some(world));
        let mut cookies = cookies.into_iter();
        Box::new(move |world| {
            let browser = cookies.next().expect("one for each round");
            let request = browser.request("GET", "/api/flows/1", &browser_lines());
            repeated(request, 200)(world);
        })
    }),
    ("file of Prefect's pages, by session", |world| {
        let request = logged_in(world).request("GET", "/assets/index.js", &browser_lines());
        repeated(request, 200)
    }),
    ("verdict for another proxy, by session", |world| {
        repeated(logged_in(world).request("GET", "/oauth2/auth", &browser_lines()), 202)
    }),
    ("masked response", |_| {
        let request = get("/api/block_documents/1", &[("x-api-key", &key("viewer"))]);
        repeated(request, 200)
    }),
    ("frame of an open socket", |world| {
        let lines = [
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("authorization", &format!("Bearer {}", key("worker"))),
        ];
        let socket = world.send_open(&get("/api/events/in", &lines));
        world.vm.respond(socket, headers::from_text(&[(":status", "101")]), false);
        world.vm.body(socket, &frame::auth(&key("worker")), false);
        let event = frame::write(frame::TEXT, &[b'x'; 200]);
        Box::new(move |world| world.vm.body(socket, &event, false))
    }),
];

/// Each kind is repeated, because the first time something is remembered.
const ROUNDS: usize = 4;

fn get(path: &str, extra: &[(&str, &str)]) -> Request {
    Request::new("GET", path, &[LINES.as_slice(), extra].concat())
}

fn browser_lines() -> Vec<(&'static str, &'static str)> {
    [LINES.as_slice(), &SCRIPT, &[("referer", "https://prefect.example.com/runs")]].concat()
}

/// A request, and Prefect's answer to it if it gets there.
fn repeated(request: Request, status: u16) -> Step {
    Box::new(move |world| {
        let id: StreamId = world.send(&request, None);
        if world.vm.stream(id).is_some_and(|stream| stream.upstream().is_some()) {
            world.vm.respond(id, headers::from_text(&ANSWER), false);
            world.vm.response_body(id, b"{}", true);
        }
        let answer = world.vm.stream(id).and_then(|stream| stream.answer());
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), status, "{answer:?}");
    })
}

fn logged_in(world: &mut World) -> Browser {
    let mut browser = Browser::default();
    browser.log_in(world, "/").expect("a login");
    browser
}

/// A worker that has its provider's metadata and keys, alone or beside another one.
fn worker(beside: Option<&World>) -> World {
    let mut vm = World::vm(&MODULE);
    if let Some(beside) = beside {
        vm.share(beside.vm.shared());
    }
    let mut settings = configuration();
    settings["public_paths"] = json!(["/api/health"]);
    World::configured_of(vm, &settings.to_string())
}

fn cost(name: &str, prepare: Prepare) -> Cost {
    let mut world = worker(None);
    let mut step = prepare(&mut world);
    let mut seen = Vec::new();
    for _ in 0..ROUNDS {
        let before = world.vm.record().len();
        step(&mut world);
        assert_eq!(world.vm.dead(), None, "{name}");
        let mut cost = Cost::default();
        for call in &world.vm.record()[before..] {
            *cost.calls.entry(call.name.trim_start_matches("proxy_")).or_default() += 1;
            cost.bytes_out += call.bytes_out;
            cost.bytes_in += call.bytes_in;
            cost.blocks += call.allocations;
        }
        seen.push(cost);
    }
    seen.pop().expect("several rounds")
}

/// The table that the repository has.
fn file() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/bench/requests.md")
}

const INTRODUCTION: &str = "\
# What a request costs at the border of the VM

```sh
make test-shell                          # compares
LICTOR_WRITE_COSTS=1 make test-shell     # writes this page
```

The comparison fails when a request makes another number of host calls, or passes other amounts of
bytes. The module runs in the host of the tests (`filter/host`), which counts what Envoy would be
asked. Requests have the headers of a browser or of Prefect's client. Where they reach Prefect, it
answers with a short body. A row counts everything from the creation of the request's context to its
end. The times are in [benchmarks](../benchmarks.md).

- **out** and **in** are the bytes that the module gives to its host, and gets from it.
- **blocks** are allocated by the host in the memory of the module.

| request | host calls | out | in | blocks | which calls |
|---|---|---|---|---|---|
";

fn table(costs: &[(&str, Cost)]) -> String {
    let mut text = INTRODUCTION.to_owned();
    for (name, Cost { calls, bytes_out, bytes_in, blocks }) in costs {
        let all: usize = calls.values().sum();
        let calls: Vec<_> = calls.iter().map(|(name, n)| format!("{n} `{name}`")).collect();
        let calls = calls.join(", ");
        writeln!(text, "| {name} | {all} | {bytes_out} | {bytes_in} | {blocks} | {calls} |")
            .unwrap();
    }
    text
}

#[test]
fn requests_cost_what_the_table_says() {
    let costs = KINDS.map(|(name, prepare)| (name, cost(name, prepare)));
    let seen = table(&costs);
    if env::var_os("LICTOR_WRITE_COSTS").is_some() {
        fs::create_dir_all(file().parent().unwrap()).unwrap();
        fs::write(file(), &seen).unwrap();
    }
    let known = fs::read_to_string(file()).unwrap_or_default();
    let mut known = known.lines();
    let other: Vec<_> = seen
        .lines()
        .filter(|line| !known.next().is_some_and(|known| is_same(known, line)))
        .collect();
    assert!(
        other.is_empty() && known.next().is_none(),
        "docs/bench/requests.md has other rows (LICTOR_WRITE_COSTS=1 writes it anew):\n{}",
        other.join("\n")
    );
}

/// Whether two rows say the same. The length of an ECDSA signature for the host varies by a byte or
/// two.
fn is_same(known: &str, seen: &str) -> bool {
    let bytes = |row: &str| row.split(" | ").nth(2).and_then(|out| out.parse::<usize>().ok());
    let rest = |row: &str| -> Vec<String> {
        let cells = row.split(" | ").enumerate().filter(|(place, _)| *place != 2);
        cells.map(|(_, cell)| cell.to_owned()).collect()
    };
    known == seen
        || (rest(known) == rest(seen)
            && bytes(known).zip(bytes(seen)).is_some_and(|(a, b)| a.abs_diff(b) <= 4))
}
