//! `include_secrets` in a body: judged while Envoy's buffer filter holds the head.

use std::io::Write as _;
use std::sync::OnceLock;

use serde_json::json;

use super::{ABOUT, Role, Scene, key};
use crate::client::Request;
use crate::http1::{Answer, Reader};
use crate::http2::Http2;
use crate::keycloak_admin::{add_client, basic, with_role};
use crate::stories::{Story, story};

const PATH: &str = "/api/block_documents/filter";
const ASKS: &str = r#"{"block_documents":{},"include_secrets":true}"#;

pub fn stories() -> Vec<Story> {
    let shared = [
        story(ABOUT, "of a body that asks for secrets not even the head reaches Prefect", refused),
        story(ABOUT, "a body that asks for none reaches Prefect unchanged, in one piece", passed),
        story(ABOUT, "a body is judged whole, however it is sent", in_pieces),
        story(ABOUT, "a body with trailers does not reach Prefect", trailers),
        story(ABOUT, "a body is judged after its head has waited for the provider", after_waiting),
    ]
    .map(|story| story.in_group("bodies"));
    let others = [
        story(ABOUT, "a head that nobody holds goes without the body that is refused", not_held),
        story(ABOUT, "reports open nothing that needs authentication", reported),
    ];
    shared.into_iter().chain(others).collect()
}

/// Started once; those who share it run one after the other.
fn scene() -> &'static Scene {
    static SHARED: OnceLock<Scene> = OnceLock::new();
    let shared = SHARED.get_or_init(|| Scene::start("bodies", &json!({})));
    shared.recorder.take();
    shared
}

fn post(scene: &Scene, role: Role, body: &[u8]) -> Answer {
    let mut request = scene.by(role, Request::post(PATH, ""));
    request.body = body.to_vec();
    scene.gateway.gate.send(&request)
}

fn refused() {
    let scene = scene();
    let utf_16: Vec<u8> = ASKS.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let large = format!("{{}}{}", " ".repeat(64 * 1024 - 1));
    for (body, status) in [
        (ASKS.as_bytes(), 403),
        (br#"{"include_secrets":false,"include\u005fsecrets":true}"#, 403),
        (br#"{"include_secrets":true,"include_secrets":false}"#, 403),
        (b"include_secrets=true", 403),
        (b"{\"a\":", 403),
        (&utf_16, 403),
        (large.as_bytes(), 413),
    ] {
        for role in [Role::Viewer, Role::Operator] {
            let answer = post(scene, role, body).expect(status);
            let said = answer.json();
            assert_eq!(said["detail"], said["exception_message"]);
        }
    }
    for query in ["?include_secrets=true", "?include%5Fsecrets=1&include_secrets=false"] {
        let request = Request::post(format!("{PATH}{query}"), "{}");
        scene.gateway.gate.send(&scene.by(Role::Viewer, request)).expect(403);
    }
    let seen = scene.recorder.take();
    assert!(seen.heads.is_empty(), "{:?}", seen.heads);
    scene.gateway.admin.assert_vm_alive();
}

fn passed() {
    let scene = scene();
    let limit = format!("{{}}{}", " ".repeat(64 * 1024 - 2));
    let bodies = ["{}", "", r#"{"include_secrets":false,"limit":3}"#, &limit];
    for body in bodies {
        for role in [Role::Viewer, Role::Operator] {
            post(scene, role, body.as_bytes()).expect(200);
        }
    }
    // Whoever may have secrets is not judged, and may send more.
    for role in [Role::Worker, Role::Admin] {
        post(scene, role, ASKS.as_bytes()).expect(200);
        post(scene, role, &[limit.as_bytes(), b" "].concat()).expect(200);
    }
    let seen = scene.recorder.take();
    let expected: Vec<&[u8]> =
        bodies.iter().flat_map(|body| [body.as_bytes(), body.as_bytes()]).collect();
    assert_eq!(seen.bodies[..8], expected, "as they were sent");
    assert_eq!(seen.bodies.len(), 12);
    for head in &seen.heads {
        let head = head.to_ascii_lowercase();
        assert_eq!(head.matches("\r\nauthorization: basic ").count(), 1, "{head}");
        assert_eq!(head.matches("\r\nx-auth-request-user: key:").count(), 1, "{head}");
        assert!(!head.contains("x-api-key"), "{head}");
    }
}

/// Chunks of one byte, several requests on one connection: the verdict is the same, and the
/// connection stays in step.
fn in_pieces() {
    let scene = scene();
    let mut stream = scene.gateway.gate.connect("localhost").unwrap();
    for (body, status) in [("{}", 200), (ASKS, 403), (r#"{"include_secrets":false}"#, 200)] {
        let head = format!(
            "POST {PATH} HTTP/1.1\r\nhost: {}\r\nx-api-key: {}\r\ntransfer-encoding: chunked\r\n\r\n",
            scene.gateway.gate.machine_host(),
            key(Role::Viewer)
        );
        stream.write_all(head.as_bytes()).unwrap();
        for byte in body.chars() {
            stream.write_all(format!("1\r\n{byte}\r\n").as_bytes()).unwrap();
            // A record of TLS for each.
            stream.flush().unwrap();
        }
        stream.write_all(b"0\r\n\r\n").unwrap();
        let mut reader = Reader { stream: &mut stream, held: Vec::new() };
        reader.answer(false).unwrap().expect(status);
        if status != 200 {
            // Envoy ends a connection on which it has answered early.
            stream = scene.gateway.gate.connect("localhost").unwrap();
        }
    }
    let seen = scene.recorder.take();
    assert_eq!(seen.bodies, [b"{}".to_vec(), br#"{"include_secrets":false}"#.to_vec()]);
    scene.gateway.admin.assert_vm_alive();
}

/// HTTP/2 has trailers: they end a body that has not been seen to end.
fn trailers() {
    let scene = scene();
    let gate = &scene.gateway.gate;
    let (host, key) = (gate.machine_host(), key(Role::Viewer));
    let head = [
        (":method", "POST"),
        (":scheme", "https"),
        (":path", PATH),
        (":authority", host.as_str()),
        ("x-api-key", key.as_str()),
    ];
    for body in ["{}", ASKS] {
        let mut connection = Http2::begin(gate.http2().connect("localhost").unwrap()).unwrap();
        connection.send(&head, body.as_bytes(), &[("x-trailer", "1")]).unwrap();
        assert_ne!(connection.status().unwrap(), 200, "{body}");
    }
    assert!(scene.recorder.take().heads.is_empty());
    scene.gateway.admin.assert_vm_alive();
}

/// The head has waited for the provider first: its body is judged all the same.
fn after_waiting() {
    let scene = scene();
    let gate = &scene.gateway.gate;
    for (name, body, status) in [
        ("waits-and-asks", ASKS, 403),
        ("waits-and-asks-not", "{}", 200),
        ("waits-without", "", 200),
    ] {
        let secret = add_client(name, |client| with_role(client, "viewer"));
        let request = Request::post(PATH, body)
            .host(gate.machine_host())
            .header("authorization", basic(&format!("{name}:{secret}")));
        gate.send(&request).expect(status);
        gate.send(&request).expect(status);
    }
    let seen = scene.recorder.take();
    assert_eq!(seen.bodies, [b"{}".as_slice(), b"{}", b"", b""]);
    scene.gateway.admin.assert_vm_alive();
}

/// An operator who says that the buffer filter is there, and has forgotten its route: the head goes
/// on before the verdict, but never with a body that asks for secrets, without which Prefect does
/// nothing.
fn not_held() {
    let settings = json!({ "prefect": { "api_path": "/other/api", "buffered_routes": true } });
    let scene = Scene::start("bodies-not-held", &settings);
    let path = "/other/api/block_documents/filter";
    let request = scene.by(Role::Viewer, Request::post(path, ASKS));
    scene.gateway.gate.send(&request).expect(403);
    assert!(scene.recorder.take().bodies.is_empty());
}

fn reported() {
    let scene = Scene::start("roles-reported", &json!({ "roles": { "report_only": true } }));
    let gate = &scene.gateway.gate;
    for (role, method, path) in [
        (Role::Viewer, "DELETE", "/api/flows/1"),
        (Role::Operator, "POST", "/api/admin/database/clear"),
        (Role::Worker, "GET", "/api/admin/settings"),
        (Role::Viewer, "GET", "/api/block_documents/1?include_secrets=true"),
    ] {
        gate.send(&scene.by(role, Request::new(method, path))).expect(200);
    }
    post(&scene, Role::Viewer, ASKS.as_bytes()).expect(200);
    assert_eq!(scene.recorder.take().heads.len(), 5);
    let counter = "lictor_requests.outcome=reported.method=api_key.reason=role_missing";
    assert_eq!(scene.gateway.admin.counter(&format!("wasmcustom.{counter}")), 5);
    let log = std::fs::read_to_string(scene.gateway.layout.log("envoy")).unwrap();
    let line = "reported reason=role_missing principal=\"key:viewer\" \
                seen=\"role viewer for DELETE /flows/1\" wanted=\"admin\"";
    assert!(log.contains(line), "{log}");
    for request in [
        Request::get("/api/flows/1"),
        Request::get("/api/flows/1").header("x-api-key", "lk_of-nobody"),
        Request::get("/dashboard"),
        Request::post(PATH, "{}"),
    ] {
        gate.send(&request.host(gate.machine_host())).expect(401);
    }
    assert!(scene.recorder.take().heads.is_empty());
}
