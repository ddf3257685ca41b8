//! Which upgrades are accepted at all, and how many.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::sockets::{ABOUT, SILENCE, assert_authenticated, key};
use super::{Story, story};
use crate::client::Request;
use crate::gateway::Plan;
use crate::keycloak_admin::basic;
use crate::keycloak_login::logged_in;
use crate::recorder::Recorder;
use crate::sockets::{End, Socket, auth, client_frame, upgrade};
use crate::world::{eventually, prefect_sees_nothing, world};

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "bytes before the 101 are refused", early).apart(),
        story(ABOUT, "a session cookie opens none", by_cookie).counting(),
        story(ABOUT, "unknown paths and other upgrades are refused", unknown).counting(),
        story(ABOUT, "an upgrade to cleartext HTTP/2 does not reach Prefect", cleartext_http2)
            .apart(),
        story(ABOUT, "two hundred silent ones from one address leave the API alone", many).apart(),
    ]
}

fn early() {
    let recorder = Recorder::start();
    let gateway = Plan::new("early").prefect(recorder.port).workers(1).start();
    for tail in [
        client_frame(1, auth(key()).as_bytes()),
        b"GET /api/admin/settings HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
    ] {
        let mut request = upgrade("/api/events/out");
        request.headers.push((b"content-length".to_vec(), b"0".to_vec()));
        let bytes = [request.host(gateway.gate.machine_host()).bytes(""), tail.clone()].concat();
        let mut stream = gateway.gate.connect("localhost").unwrap();
        let answer = crate::http1::exchange(&mut stream, &bytes, false);
        // Whatever the answer, nothing of the tail has gone on unjudged.
        drop(answer);
        drop(stream);
        let seen = recorder.take();
        let all = format!("{}{}", seen.heads.join(""), String::from_utf8_lossy(&seen.socket_bytes));
        assert!(!all.contains("settings") && seen.heads.len() <= 1, "{all}");
        for frame in &seen.frames {
            assert!(!frame.text().contains("lk_"), "{}", frame.text());
        }
    }
}

fn by_cookie() {
    let alice = logged_in("alice");
    let gate = &world().gate;
    for headers in [
        vec![],
        vec![("origin", gate.origin())],
        vec![("sec-fetch-site", "same-origin".to_owned())],
    ] {
        let request = upgrade("/api/events/out")
            .host(gate.public_host())
            .header("cookie", alice.jar.header().unwrap());
        let request = headers.iter().fold(request, |r, (name, value)| r.header(name, value));
        let answer = prefect_sees_nothing(world().admin, || Socket::refused(gate, &request));
        assert_eq!((answer.status, answer.code().as_str()), (403, "socket_by_cookie"));
    }
}

fn unknown() {
    let gate = &world().gate;
    let authorized = |path: &str| upgrade(path).header("authorization", basic(key()));
    prefect_sees_nothing(world().admin, || {
        for path in [
            "/",
            "/api/events",
            "/api/events/in/",
            "/api/events/inx",
            "/api/work_pools//workers/connect",
            "/api/work_pools/a/b/workers/connect",
            "/events/in",
            "/api/admin/version",
            "/ws",
        ] {
            for request in [upgrade(path), authorized(path)] {
                let status = Socket::refused(gate, &request).status;
                assert!(matches!(status, 400 | 404), "{path}: {status}");
            }
        }
        for other in ["websocket, h2c", "TLS/1.0", "websocketx", "connect-udp"] {
            for path in ["/api/events/out", "/api/admin/version", "/api/health", "/"] {
                let request = Request::get(path)
                    .host(gate.machine_host())
                    .headers(&[("connection", "Upgrade"), ("upgrade", other)])
                    .header("authorization", basic(key()));
                let status = gate.send(&request).status;
                assert!((400..500).contains(&status), "{other} {path}: {status}");
            }
        }
        let posted = Request { method: "POST".into(), ..authorized("/api/events/out") };
        assert!((400..500).contains(&Socket::refused(gate, &posted).status));
        assert_eq!(
            Socket::refused(gate, &upgrade("/api/events/out").host("evil.example")).status,
            421
        );
    });
}

fn cleartext_http2() {
    let recorder = Recorder::start();
    let gateway = Plan::new("h2c").prefect(recorder.port).start();
    let request = Request::get("/api/admin/version").host(gateway.gate.machine_host()).headers(&[
        ("connection", "Upgrade, HTTP2-Settings"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAMAAABk"),
    ]);
    gateway.gate.send(&request).expect(401);
    // Envoy itself takes it for the plain request that it also is.
    gateway.gate.send(&request.header("authorization", basic(key()))).expect(200);
    let heads = recorder.take().heads;
    assert_eq!(heads.len(), 1);
    assert!(
        !heads[0].contains("h2c") && !heads[0].to_ascii_lowercase().contains("upgrade"),
        "{}",
        heads[0]
    );
}

fn many() {
    // One worker: the bound of sixteen is for each.
    let gateway = Plan::new("many").workers(1).start();
    let begun = Instant::now();
    let all = thread::scope(|scope| {
        let silent: Vec<_> = (0..200)
            .map(|_| {
                let gate = &gateway.gate;
                scope.spawn(move || {
                    let opened = Socket::open(gate, &upgrade("/api/events/out")).unwrap();
                    (opened, begun.elapsed())
                })
            })
            .collect();
        eventually("sixteen have a place", SILENCE, || {
            let open = gateway.admin.counter("cluster.prefect_ws.upstream_rq_active");
            (open == 16).then_some(())
        });
        gateway.gate.get("/api/health").expect(200);
        // Proved ones are not counted among them.
        let proved = upgrade("/api/events/out").header("authorization", basic(key()));
        let mut proved = Socket::opened(&gateway.gate, &proved);
        proved.send_text(&auth(Value::Null));
        assert_authenticated(&mut proved, "beside silent ones");
        silent.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
    });
    let (mut open, mut refused, mut late) = (Vec::new(), 0, 0);
    for (one, took) in all {
        match one {
            Ok(socket) => open.push(socket),
            Err(answer) => {
                assert_eq!((answer.status, answer.code().as_str()), (503, "busy"));
                assert!(answer.has("retry-after"));
                refused += 1;
                late += usize::from(took > Duration::from_secs(4));
            }
        }
    }
    // 128 stand in line, for five seconds at most; some of them get the places of the first
    // sixteen.
    assert_eq!(open.len() + refused, 200);
    assert!((16..=48).contains(&open.len()), "{} were let in", open.len());
    assert!((1..=128).contains(&late), "{late} stood in line in vain");
    for mut socket in open {
        assert_eq!(socket.end(SILENCE), End::Lost);
    }
    let mut next = Socket::opened(&gateway.gate, &upgrade("/api/events/out"));
    next.send_text(&auth(key()));
    assert_authenticated(&mut next, "once they have gone");
}
