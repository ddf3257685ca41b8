//! A socket ends when what it was opened with is good no more.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::sockets::assert_authenticated;
use super::{Story, story};
use crate::client::Request;
use crate::gateway::{Gateway, Plan};
use crate::keycloak_admin::{REALM, add_client, basic, text, tokens};
use crate::prefect_client::{Client, Credential, newest};
use crate::recorder::Recorder;
use crate::sockets::{End, Socket, auth, client_frame, upgrade};
use crate::world::{checkout, eventually, world};

const ABOUT: &str = "the end of sockets";
/// A worker looks at its sockets once a second.
const SOON: Duration = Duration::from_secs(4);

pub fn stories() -> Vec<Story> {
    vec![
        story(
            ABOUT,
            "a key that a new configuration does not have ends its sockets, and no others",
            key_removed,
        )
        .apart(),
        story(
            ABOUT,
            "a key that has another role then ends those that it may not have",
            role_changed,
        )
        .apart(),
        story(ABOUT, "an expired key or token ends its sockets, idle ones as well", expired)
            .apart()
            .early(),
        story(ABOUT, "Prefect's own subscriber comes back, and misses nothing", comes_back).early(),
        story(ABOUT, "one principal has a bounded number of sockets", many).apart(),
    ]
}

fn digest(key: &str) -> String {
    Sha256::digest(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn key(name: &str, role: &str) -> (String, Value) {
    let key = format!("lk_planted-key-of-{name}-0123456789");
    let entry = json!({ "name": name, "sha256": digest(&key), "role": role });
    (key, entry)
}

/// A socket that has been judged, by its first frame or by a header.
fn opened(gateway: &Gateway, key: &str, by_header: bool) -> Socket {
    let request = upgrade("/api/events/out");
    let mut socket = if by_header {
        Socket::opened(&gateway.gate, &request.header("authorization", format!("Bearer {key}")))
    } else {
        Socket::opened(&gateway.gate, &request)
    };
    socket.send_text(&auth(if by_header { Value::Null } else { key.into() }));
    assert_authenticated(&mut socket, "while the key is good");
    socket
}

/// Whether it still answers pings.
fn assert_open(socket: &mut Socket) {
    socket.send(&client_frame(9, b"alive"));
    assert_eq!(socket.next(SOON).expect("it is open").opcode, 10);
}

fn key_removed() {
    let (gone, gone_entry) = key("gone", "worker");
    let (stays, stays_entry) = key("stays", "worker");
    let keys = |entries: &[&Value]| json!({ "machines": { "api_keys": entries } });
    let gateway =
        Plan::new("key-removed").reloadable().patch(keys(&[&gone_entry, &stays_entry])).start();
    let mut ending = [opened(&gateway, &gone, false), opened(&gateway, &gone, true)];
    let mut staying = [opened(&gateway, &stays, false), opened(&gateway, &stays, true)];
    gateway.reconfigure(&keys(&[&stays_entry]));
    let begun = Instant::now();
    for socket in &mut ending {
        assert_eq!(socket.end(SOON), End::Lost, "clients see 1006, and come back");
    }
    assert!(begun.elapsed() < SOON);
    staying.iter_mut().for_each(assert_open);
    let request = |key: &str| {
        Request::get("/api/admin/version").header("authorization", basic(&format!("x:{key}")))
    };
    gateway.gate.send(&request(&gone)).expect(401);
    gateway.gate.send(&request(&stays)).expect(200);
    // Whoever came under the new settings stays under them.
    let mut later = opened(&gateway, &stays, false);
    gateway.reconfigure(&keys(&[&gone_entry, &stays_entry]));
    assert_open(&mut later);
    staying.iter_mut().for_each(assert_open);
    gateway.admin.assert_vm_alive();
}

fn role_changed() {
    let (worker, entry) = key("changing", "worker");
    let (_, viewer) = key("changing", "viewer");
    let keys = |entry: &Value| json!({ "machines": { "api_keys": [entry] } });
    let gateway = Plan::new("role-changed").reloadable().patch(keys(&entry)).start();
    let mut events = Socket::opened(&gateway.gate, &upgrade("/api/events/in"));
    events.send_text(&auth(worker.as_str()));
    assert_authenticated(&mut events, "as a worker");
    gateway.reconfigure(&keys(&viewer));
    assert_eq!(events.end(SOON), End::Lost, "a viewer may not send events");
}

fn expired() {
    let (short, mut entry) = key("short", "worker");
    let keys = |entry: &Value| json!({ "machines": { "api_keys": [entry] } });
    // Prefect's own pings would be a reason to look: this upstream never sends any.
    let recorder = Recorder::start();
    let plan = Plan::new("expired").reloadable().prefect(recorder.port);
    let gateway = plan.patch(keys(&entry)).start();
    // The time runs from here, however long Envoy took to start.
    let end = time::OffsetDateTime::now_utc() + Duration::from_secs(25);
    let end = end.format(&time::format_description::well_known::Rfc3339).unwrap();
    entry["expires"] = format!("{}Z", &end[..19]).into();
    gateway.reconfigure(&keys(&entry));
    let request = upgrade("/api/events/out").header("authorization", format!("Bearer {short}"));
    let mut idle = Socket::opened(&gateway.gate, &request);
    idle.send_text(&auth(Value::Null));
    assert_eq!(idle.end(Duration::from_secs(31)), End::Lost);
    // A token: its end and a minute of leeway would be long, so one that ended 57 seconds ago.
    let secret = add_client("short-socket", |client| {
        client["attributes"]["access.token.lifespan"] = "5".into();
    });
    let form =
        format!("grant_type=client_credentials&client_id=short-socket&client_secret={secret}");
    let issued = Instant::now();
    let token = text(&tokens(REALM, &form), "access_token");
    let gateway = Plan::new("expired-token")
        .prefect(recorder.port)
        .patch(json!({ "roles": { "sources": ["azp"], "worker": ["short-socket"] } }))
        .start();
    let request = upgrade("/api/events/out").header("authorization", format!("Bearer {token}"));
    let mut idle = Socket::opened(&gateway.gate, &request);
    idle.send_text(&auth(Value::Null));
    assert_eq!(idle.end(Duration::from_secs(75)), End::Lost);
    // Its five seconds and the minute; Keycloak counts whole seconds.
    assert!(issued.elapsed() > Duration::from_secs(64), "{:?}", issued.elapsed());
}

/// Somebody else makes an event.
fn send(about: &str, name: &str) {
    let now = time::OffsetDateTime::now_utc();
    let id = now.unix_timestamp_nanos() % 1_000_000_000_000;
    let event = json!([{
        "occurred": now.format(&time::format_description::well_known::Rfc3339).unwrap(),
        "event": name, "resource": { "prefect.resource.id": about },
        "id": format!("00000000-0000-4000-8000-{id:012}"),
    }]);
    let request = Request::post("/api/events", &event.to_string())
        .header("authorization", basic(&world().stack.machine.auth_string));
    assert_eq!(world().gate.send(&request).status, 204);
}

/// A subscriber that shows client credentials on its socket alone: nobody shows them again, so the
/// socket ends a while after `session.recheck`, again and again.
fn comes_back() {
    let gateway = Plan::new("comes-back").patch(json!({ "session": { "recheck": "2s" } })).start();
    let mut setup = newest().with(&Credential::OfClient.pair());
    setup.api_url = format!("https://{}/api", gateway.gate.machine_host());
    let about = "e2e.comes-back";
    let client = Client::new("comes-back", setup).environment("LISTEN_TO", about);
    let script = checkout().join("integration/flows/listen.py");
    let listener = client.start_python("listener", &[&script.to_string_lossy()]);
    let log = || client.log("listener");
    eventually("it listens", Duration::from_secs(60), || log().contains("listening").then_some(()));
    let opened = || gateway.admin.counter("cluster.prefect_ws.upstream_rq_total");
    let open = || gateway.admin.counter("cluster.prefect_ws.upstream_rq_active");
    let heard = |name: &str| {
        eventually("it has heard of it", Duration::from_secs(60), || {
            assert!(listener.is_alive(), "{}", log());
            log().contains(&format!("heard {name}")).then_some(())
        });
    };
    for round in 0..2 {
        let before = opened();
        send(about, &format!("while-open-{round}."));
        heard(&format!("while-open-{round}."));
        eventually("its socket has ended", Duration::from_secs(40), || {
            (open() == 0 || opened() > before).then_some(())
        });
        // It may be back already. What it misses while it is away it asks for when it comes back.
        send(about, &format!("while-away-{round}."));
        heard(&format!("while-away-{round}."));
        assert!(opened() > before, "it has heard of it without coming back");
    }
    listener.stop().unwrap();
}

fn many() {
    let recorder = Recorder::start();
    let gateway = Plan::new("many-of-one")
        .prefect(recorder.port)
        .workers(1)
        .envoy(
            "max_connections: 80, max_pending_requests: 80, max_requests: 80",
            "max_connections: 900, max_pending_requests: 900, max_requests: 900",
        )
        .start();
    let request = upgrade("/api/events/out")
        .header("authorization", format!("Bearer {}", world().secrets.api_key));
    let mut open = Vec::new();
    let refused = loop {
        match Socket::open(&gateway.gate, &request).unwrap() {
            Ok(socket) => open.push(socket),
            Err(answer) => break answer,
        }
        assert!(open.len() <= 512, "{}", open.len());
    };
    assert_eq!((open.len(), refused.status, refused.code().as_str()), (512, 503, "busy"));
    open.truncate(500);
    let begun = Instant::now();
    while Socket::open(&gateway.gate, &request).unwrap().is_err() {
        assert!(begun.elapsed() < SOON, "the places of those that have gone are free");
    }
}
