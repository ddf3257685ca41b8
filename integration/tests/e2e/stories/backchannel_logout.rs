//! Sessions that end at Keycloak: it says so itself, and Lictor believes nobody else.

use lictor_integration::layout::PREFECT_HOST;
use serde_json::Value;

use super::{Story, story};
use crate::client::{Gate, Request};
use crate::cookie_client::CookieClient;
use crate::gateway::Plan;
use crate::http1::Answer;
use crate::http2::Http2;
use crate::keycloak_admin::{admin, allow_callback, person_tokens, text};
use crate::keycloak_login::{callback_request, log_in, logged_in, open, path_of};
use crate::recorder::Recorder;
use crate::world::{prefect_sees_nothing, world};

const ABOUT: &str = "back-channel logout";
const ENDPOINT: &str = "/oauth2/backchannel_logout";

pub fn stories() -> Vec<Story> {
    vec![
        story(
            ABOUT,
            "a session that the administrator ends is over at every worker",
            ended_by_admin,
        )
        .changing_realm(),
        story(ABOUT, "a sign-out elsewhere ends the session here", signed_out_elsewhere),
        story(ABOUT, "trailers do not let the request go on", trailers).apart(),
        story(ABOUT, "whatever else is sent there ends nothing and reaches nobody", other_bodies)
            .counting(),
    ]
}

/// Whether the session counts: asked on so many new connections that each worker is.
#[track_caller]
fn counts(visitor: &CookieClient) -> bool {
    let answers: Vec<u16> =
        (0..12).map(|_| visitor.clone().fetch("/api/admin/version").status).collect();
    assert!(answers.iter().all(|status| *status == answers[0]), "workers differ: {answers:?}");
    assert!(matches!(answers[0], 200 | 401), "{answers:?}");
    answers[0] == 200
}

fn user_id(name: &str) -> String {
    let found: Value = admin("GET", &format!("/users?username={name}&exact=true"), None).json();
    text(&found[0], "id")
}

fn sessions(user: &str) -> Vec<String> {
    let found = admin("GET", &format!("/users/{}/sessions", user_id(user)), None).json();
    found.as_array().unwrap().iter().map(|session| text(session, "id")).collect()
}

fn ended_by_admin() {
    let before = sessions("bob");
    let bob = logged_in("bob");
    let own: Vec<String> = sessions("bob").into_iter().filter(|id| !before.contains(id)).collect();
    assert_eq!(own.len(), 1);
    let elsewhere = logged_in("bob");
    assert!(counts(&bob) && counts(&elsewhere));
    admin("DELETE", &format!("/sessions/{}", own[0]), None).expect(204);
    assert!(!counts(&bob), "Keycloak has told before it answers");
    assert!(counts(&elsewhere), "the same person's other browser");
    // A page load leads to Keycloak's form: its session is over, too.
    let asked = bob.clone().navigate("/").expect(302);
    open(&mut bob.clone(), asked.location()).expect(200);
    admin("POST", &format!("/users/{}/logout", user_id("bob")), None).expect(204);
}

/// One login at Keycloak, two gates; the person signs out at the other one.
fn signed_out_elsewhere() {
    let gateway = Plan::new("elsewhere").start();
    allow_callback(&gateway.gate.origin());
    let mut here = CookieClient::new(&world().gate);
    log_in(&mut here, "/", "carol");
    let mut there = at(&here, &gateway.gate);
    let asked = there.navigate("/").expect(302);
    let callback = open(&mut there, asked.location()).expect(302);
    there.send(callback_request(&path_of(callback.location()))).expect(302);
    there.fetch("/api/admin/version").expect(200);
    assert!(counts(&here));
    there.navigate("/oauth2/sign_out").expect(200);
    assert!(!counts(&here), "one sign-out, signed out everywhere");
}

/// The same browser at another gate.
fn at(visitor: &CookieClient, gate: &Gate) -> CookieClient {
    CookieClient { keycloak: visitor.keycloak.clone(), ..CookieClient::new(gate) }
}

/// HTTP/2 has trailers; with them a held body would go on. Here even the route behind leads to
/// Prefect.
fn trailers() {
    let recorder = Recorder::start();
    let route = "direct_response: { status: 503 }\n                typed_per_filter_config:";
    let gateway = Plan::new("trailers")
        .prefect(recorder.port)
        .envoy(route, "route: { cluster: prefect }\n                typed_per_filter_config:")
        .start();
    recorder.take();
    let host = gateway.gate.public_host();
    let mut connection = Http2::begin(gateway.gate.http2().connect(PREFECT_HOST).unwrap()).unwrap();
    let head = [
        (":method", "POST"),
        (":scheme", "https"),
        (":path", ENDPOINT),
        (":authority", host.as_str()),
        ("content-type", "application/x-www-form-urlencoded"),
        ("x-auth-request-user", "forged"),
    ];
    connection.send(&head, b"logout_token=a.b.c", &[("x-trailer", "1")]).unwrap();
    assert_eq!(connection.status().unwrap(), 400);
    assert_eq!(recorder.look().heads, Vec::<String>::new(), "nothing reached Prefect");
    gateway.admin.assert_vm_alive();
}

fn other_bodies() {
    let alice = logged_in("alice");
    let tokens = person_tokens("alice");
    let form = |token: &str| format!("logout_token={token}");
    let id_token = form(&text(&tokens, "id_token"));
    let access_token = form(&text(&tokens, "access_token"));
    let twice = format!("{id_token}&{id_token}");
    let long = form(&"x".repeat(65 * 1024));
    let bodies = ["", "logout_token=", "x", &id_token, &access_token, &twice, &long];
    for body in bodies {
        let answer = prefect_sees_nothing(world().admin, || send(body));
        // What comes in one piece above Envoy's own limit is refused by it.
        let refused = answer.status == 400 || (answer.status == 413 && body.len() > 64 * 1024);
        assert!(refused, "{} bytes: {} {}", body.len(), answer.status, answer.text());
    }
    let request = Request::post(ENDPOINT, "{}");
    prefect_sees_nothing(world().admin, || world().gate.send(&request)).expect(400);
    prefect_sees_nothing(world().admin, || world().gate.get(ENDPOINT)).expect(405);
    // Half a body and no more: Prefect hears nothing of it, nor does anybody who comes after.
    prefect_sees_nothing(world().admin, || {
        let mut connection = world().gate.connect(PREFECT_HOST).unwrap();
        let head = format!(
            "POST {ENDPOINT} HTTP/1.1\r\nhost: {}\r\ncontent-length: 500\r\n\
             content-type: application/x-www-form-urlencoded\r\n\r\nlogout_token=",
            world().gate.public_host()
        );
        std::io::Write::write_all(&mut connection, head.as_bytes()).unwrap();
        assert!(counts_untouched(&alice));
    });
    assert!(counts(&alice));
    world().admin.assert_vm_alive();
}

/// A look at the session that does not reach Prefect.
fn counts_untouched(visitor: &CookieClient) -> bool {
    visitor.clone().fetch("/oauth2/userinfo").status == 200
}

fn send(body: &str) -> Answer {
    world().gate.send(&Request::new("POST", ENDPOINT).form(body))
}
