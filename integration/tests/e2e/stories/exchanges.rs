//! Client credentials: exchanged at the real Keycloak, on HTTP and in first frames.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::people::assert_refusal;
use super::sockets::assert_authenticated;
use super::{Story, story};
use crate::client::Request;
use crate::gateway::{Gateway, Plan};
use crate::keycloak_admin::{add_client, admin, basic, text, with_role};
use crate::prefect_client::Credential;
use crate::recorder::Recorder;
use crate::scripted_idp::{Manner, ScriptedIdp};
use crate::sockets::{End, Socket, auth, client_frame, upgrade};
use crate::world::{eventually, prefect_sees_nothing, world};

const ABOUT: &str = "client credentials";
const SOON: Duration = Duration::from_secs(5);
const TOKEN: &str = "/realms/prefect/token";
/// How long the gate of a client that is revoked believes what it has asked.
const RECHECK: Duration = Duration::from_secs(3);

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "a worker's own are exchanged once for a whole process", once),
        story(
            ABOUT,
            "they are exchanged for a held first frame, and what follows it passes",
            first_frame,
        ),
        story(ABOUT, "a client that was revoked stops within session.recheck", revoked),
        story(ABOUT, "ten thousand guesses from one address cost no worker a request", guesses)
            .heavy(),
        story(
            ABOUT,
            "a provider that answers oddly, slowly or for another client opens nothing",
            odd,
        ),
        story(ABOUT, "a client that leaves meanwhile takes nobody with it", leaving),
    ]
}

fn version(gateway: &Gateway, pair: &str) -> Request {
    Request::get("/api/admin/version")
        .host(gateway.gate.machine_host())
        .header("authorization", basic(pair))
}

/// How often a gateway has asked the provider.
fn asked(gateway: &Gateway) -> u64 {
    gateway.admin.counter("cluster.idp.upstream_rq_total")
}

fn once() {
    let gateway = Plan::new("exchange").start();
    let before = asked(&gateway);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    gateway.gate.send(&version(&gateway, &Credential::OfClient.pair())).expect(200);
                }
            });
        }
    });
    assert_eq!(asked(&gateway) - before, 1, "one exchange for 400 requests at two workers");
    gateway.admin.assert_vm_alive();
}

fn first_frame() {
    let recorder = Recorder::start();
    let gateway = Plan::new("exchanged-frame").prefect(recorder.port).workers(1).start();
    let secret = add_client("frames", as_worker);
    let mut socket = Socket::opened(&gateway.gate, &upgrade("/api/events/out"));
    // What stands behind the held frame waits with it; nothing is lost and nothing comes twice.
    let behind: Vec<String> =
        (0..3).map(|n| json!({ "type": "filter", "number": n }).to_string()).collect();
    let mut bytes = client_frame(1, auth(format!("frames:{secret}")).as_bytes());
    bytes.extend(behind.iter().flat_map(|text| client_frame(1, text.as_bytes())));
    socket.send(&bytes);
    let frames = eventually("four frames", SOON, || {
        let frames = recorder.look().frames;
        (frames.len() == 4).then_some(frames)
    });
    let sent: Value = serde_json::from_slice(&frames[0].payload).unwrap();
    assert_eq!(sent, json!({"type": "auth", "token": world().secrets.prefect_auth_string}));
    assert!(frames[1..].iter().zip(&behind).all(|(frame, text)| frame.text() == *text));
    for number in 4..8 {
        let text = json!({"type": "filter", "number": number}).to_string();
        socket.send_text(&text);
        eventually("the next frame", SOON, || {
            let frames = recorder.look().frames;
            frames.last().filter(|frame| frame.text() == text).cloned()
        });
        assert_eq!(recorder.look().frames.len(), number + 1);
    }
    let seen = recorder.take();
    assert!(!String::from_utf8_lossy(&seen.socket_bytes).contains("frames:"));
    // A wrong one: Prefect gets a close frame in its place, and the client the code.
    let mut wrong = Socket::opened(&gateway.gate, &upgrade("/api/events/out"));
    wrong.send_text(&auth("frames:wrong"));
    assert_eq!(wrong.end(SOON), End::Close(1008));
    assert!(recorder.take().frames.iter().all(|frame| frame.opcode == 8));
    gateway.admin.assert_vm_alive();
}

fn client_of(name: &str) -> Value {
    admin("GET", &format!("/clients?clientId={name}"), None).json()[0].take()
}

fn revoked() {
    let secret = add_client("revoked", as_worker);
    let pair = format!("revoked:{secret}");
    let recheck = format!("{}s", RECHECK.as_secs());
    let gateway = Plan::new("revoked").patch(json!({"session": {"recheck": recheck}})).start();
    gateway.gate.send(&version(&gateway, &pair)).expect(200);
    let mut socket = Socket::opened(&gateway.gate, &upgrade("/api/events/out"));
    socket.send_text(&auth(pair.as_str()));
    assert_authenticated(&mut socket, "before");
    let mut client = client_of("revoked");
    client["enabled"] = false.into();
    admin("PUT", &format!("/clients/{}", text(&client, "id")), Some(&client));
    let begun = Instant::now();
    let answer = eventually("it is refused", RECHECK + SOON, || {
        // Whatever is sent later than that is refused, however long the answer takes.
        let late = begun.elapsed() > RECHECK;
        let answer = gateway.gate.send(&version(&gateway, &pair));
        assert!(!late || answer.status != 200, "accepted after {:?}", begun.elapsed());
        (answer.status != 200).then_some(answer)
    });
    assert_refusal(&answer.expect(401), "client_credentials");
    // It may be another worker's, which waits for a moment for somebody to show them.
    assert_eq!(socket.end(Duration::from_secs(22)), End::Lost, "the socket that they opened");
}

/// With the role of a worker, as a hard-coded claim.
fn as_worker(client: &mut Value) {
    with_role(client, "worker");
}

fn guesses() {
    let secret = add_client("late-worker", as_worker);
    let gateway = Plan::new("guesses").start();
    gateway.gate.send(&version(&gateway, &Credential::OfClient.pair())).expect(200);
    let before = asked(&gateway);
    let begun = Instant::now();
    thread::scope(|scope| {
        let guessers: Vec<_> = (0..4)
            .map(|hand| {
                let (gate, gateway) = (gateway.gate.from(66), &gateway);
                scope.spawn(move || {
                    let mut seen = [0_u32; 2];
                    for number in 0..2500 {
                        // At a worker's own name, at names that there are not, always another
                        // secret.
                        let name = if number % 2 == 0 {
                            "etl-worker".into()
                        } else {
                            format!("c{number}")
                        };
                        let request = version(gateway, &format!("{name}:guess-{hand}-{number}"));
                        match gate.send(&request).status {
                            401 => seen[0] += 1,
                            503 => seen[1] += 1,
                            other => panic!("{other}"),
                        }
                    }
                    seen
                })
            })
            .collect();
        // The known worker, from another address and from the same one; and one that nobody knows
        // yet.
        let mut good = 0;
        let mut fresh = false;
        while guessers.iter().any(|guesser| !guesser.is_finished()) {
            for gate in [&gateway.gate, &gateway.gate.from(66)] {
                gate.send(&version(&gateway, &Credential::OfClient.pair())).expect(200);
            }
            if good == 10 {
                gateway.gate.send(&version(&gateway, &format!("late-worker:{secret}"))).expect(200);
                fresh = true;
            }
            good += 1;
        }
        let seen = guessers.into_iter().map(|guesser| guesser.join().unwrap());
        let seen = seen.fold([0, 0], |a, b| [a[0] + b[0], a[1] + b[1]]);
        assert_eq!(seen[0] + seen[1], 10_000);
        assert!(good > 10 && fresh, "{good} good requests");
    });
    // 64 at once and 8 a second, at each of the two workers; and the late worker's own.
    let bound = 2 * (64 + 8 * begun.elapsed().as_secs() + 8) + 1;
    let asked = asked(&gateway) - before;
    assert!(asked <= bound, "{asked} calls in {:?}, wanted at most {bound}", begun.elapsed());
    gateway.admin.assert_vm_alive();
}

fn odd() {
    let (idp, recorder) = (ScriptedIdp::start(), Recorder::start());
    let gateway = Plan::new("odd-exchange")
        .workers(1)
        .keycloak(idp.port)
        .prefect(recorder.port)
        .patch(idp.settings())
        .start();
    let html = b"<html>Log in</html>".to_vec();
    idp.script().client_claims = json!({ "azp": "other" });
    let ask = |pair: &str| gateway.gate.send(&version(&gateway, pair));
    prefect_sees_nothing(gateway.admin, || {
        assert_refusal(&ask("etl-worker:planted-secret-of-etl").expect(401), "invalid_token");
    });
    idp.script().client_claims = json!({});
    let manners = [
        (Manner::Status("500 Broken"), 0, 2),
        (Manner::Instead("text/html", html), 0, 2),
        (Manner::Gzip, 0, 2),
        (Manner::Cut, 0, 2),
        (Manner::Late(Duration::from_secs(10)), 5, 7),
    ];
    for (number, (manner, from, to)) in manners.into_iter().enumerate() {
        let (name, secret) = (format!("worker-{number}"), format!("secret-of-worker-{number}"));
        idp.script().clients.insert(name.clone(), secret.clone());
        let pair = format!("{name}:{secret}");
        idp.behave(TOKEN, Some(manner));
        let begun = Instant::now();
        prefect_sees_nothing(gateway.admin, || {
            let answer = ask(&pair).expect(503);
            assert_refusal(&answer, "idp_unreachable");
            assert!(answer.has("retry-after"));
        });
        let took = begun.elapsed().as_secs();
        assert!((from..=to).contains(&took), "{took} s for the case {number}");
        let mut socket = Socket::opened(&gateway.gate, &upgrade("/api/events/out"));
        socket.send_text(&auth(pair.as_str()));
        assert_eq!(socket.end(Duration::from_secs(8)), End::Close(1013), "case {number}");
        idp.behave(TOKEN, None);
        eventually("it is let in", Duration::from_secs(12), || {
            (ask(&pair).status == 200).then_some(())
        });
    }
    gateway.admin.assert_vm_alive();
}

fn leaving() {
    let (idp, recorder) = (ScriptedIdp::start(), Recorder::start());
    let gateway = Plan::new("leaving-exchange")
        .keycloak(idp.port)
        .prefect(recorder.port)
        .workers(1)
        .patch(idp.settings())
        .start();
    idp.behave(TOKEN, Some(Manner::Late(Duration::from_secs(2))));
    let pair = "etl-worker:planted-secret-of-etl";
    let request = version(&gateway, pair);
    let others: Vec<_> = (0..5)
        .map(|_| {
            let (gate, request) = (gateway.gate.clone(), request.clone());
            thread::spawn(move || gate.send(&request).status)
        })
        .collect();
    for _ in 0..20 {
        let mut stream = gateway.gate.connect("localhost").unwrap();
        std::io::Write::write_all(&mut stream, &request.bytes("")).unwrap();
        let mut socket = Socket::opened(&gateway.gate, &upgrade("/api/events/out"));
        socket.send_text(&auth(pair));
    }
    assert!(others.into_iter().all(|other| other.join().unwrap() == 200));
    assert_eq!(idp.asked(TOKEN), 1);
    gateway.admin.assert_vm_alive();
}
