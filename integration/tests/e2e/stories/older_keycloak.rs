//! Keycloak 24, as many run it: other claims, other logout tokens, other settings of its names. As with
//! the newest, browsers and Envoy reach it under two names: `issuer` is the browsers', and
//! `idp.internal_url` is Envoy's, on another host, port and scheme.

use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use lictor_integration::download::KEYCLOAK_24;
use serde_json::{Value, json};

use super::story;
use crate::client::{Request, plain};
use crate::keycloak_admin::{REALM, admin_at, text, tokens_at};
use crate::keycloak_login::{authenticate, callback_request, is_form, open};
use crate::lane::{Lane, Plan};
use crate::visitor::Visitor;
use crate::world::world;

const ABOUT: &str = "Keycloak 24";
const RECHECK: Duration = Duration::from_secs(2);

pub fn stories() -> Vec<Trial> {
    vec![
        story(
            ABOUT,
            "people log in, are rechecked and signed out, machines are believed",
            whole_way,
        ),
        story(
            "split names",
            "the newest Keycloak is reached by another name than browsers use",
            || {
                let layout = &world().layout;
                assert_split(&layout.issuer(), &layout.internal_issuer(), layout.ports.keycloak);
            },
        ),
    ]
}

/// One realm, two names on two hosts; its metadata says the browsers' whoever asks.
#[track_caller]
fn assert_split(outside: &str, inside: &str, port: u16) {
    let host = |url: &str| url::Url::parse(url).unwrap().host_str().unwrap().to_owned();
    assert_ne!(host(outside), host(inside));
    let path = format!("/realms/{REALM}/.well-known/openid-configuration");
    let metadata = plain(port, &Request::get(path)).unwrap().expect(200).json();
    assert_eq!(metadata["issuer"], outside);
    let starts = |name: &str, with: &str| text(&metadata, name).starts_with(with);
    assert!(starts("authorization_endpoint", outside), "{metadata}");
    assert!(starts("token_endpoint", inside), "{metadata}");
}

fn log_in(lane: &Lane, user: &str) -> Visitor {
    let mut visitor = Visitor::new(&lane.gate);
    visitor.to_keycloak = lane.gate.clone();
    let asked = visitor.navigate("/runs?x=1").expect(302);
    assert!(asked.location().starts_with(&lane.layout.issuer()), "{}", asked.location());
    let callback = authenticate(&mut visitor, asked.location(), user);
    let home = visitor.send(callback_request(&callback)).expect(302);
    assert_eq!(home.location(), format!("{}/runs?x=1", lane.gate.origin()));
    visitor
}

fn until_due() {
    let since = Instant::now();
    while since.elapsed() < RECHECK {
        thread::sleep(Duration::from_millis(20));
    }
}

fn whole_way() {
    let plan = Plan::new("keycloak-24").own_keycloak();
    let port = plan.keycloak_port;
    let lane = plan.patch(json!({ "session": { "recheck": "2s" } })).start_unready();
    let _keycloak = lane.start_keycloak(&KEYCLOAK_24);
    assert_split(&lane.layout.issuer(), &lane.layout.internal_issuer(), port);
    let admin = |method: &str, path: &str| admin_at(port, method, path, None);
    let user = text(&admin("GET", "/users?username=alice&exact=true").json()[0], "id");
    let sessions = || -> Vec<String> {
        let found: Value = admin("GET", &format!("/users/{user}/sessions")).json();
        found.as_array().unwrap().iter().map(|session| text(session, "id")).collect()
    };

    // A day: login, rechecks, sign-out at both ends.
    let mut alice = log_in(&lane, "alice");
    assert!(alice.session().len() <= 1536, "{} bytes", alice.session().len());
    alice.fetch("/api/admin/version").expect(200);
    for _ in 0..3 {
        until_due();
        let answer = alice.fetch("/api/admin/version").expect(200);
        assert!(answer.has("set-cookie"), "the session was rechecked");
    }
    let own = sessions();
    assert_eq!(own.len(), 1);
    alice.navigate("/oauth2/sign_out").expect(200);
    assert_eq!(sessions(), Vec::<String>::new(), "signed out at Keycloak, too");
    let asked = alice.navigate("/").expect(302);
    assert!(is_form(&open(&mut alice, asked.location())));

    // The administrator ends a session: the logout token says `JWT`, and it is over at once.
    let alice = log_in(&lane, "alice");
    let other = log_in(&lane, "bob");
    admin("DELETE", &format!("/sessions/{}", sessions()[0])).expect(204);
    for _ in 0..12 {
        alice.clone().fetch("/oauth2/userinfo").expect(401);
    }
    other.clone().fetch("/oauth2/userinfo").expect(200);

    // A machine's token from the inside address names the outside issuer.
    let secret = &world().secrets.worker_client_secret;
    let form = format!("grant_type=client_credentials&client_id=etl-worker&client_secret={secret}");
    let token = text(&tokens_at(port, REALM, &form), "access_token");
    let request = Request::get("/api/admin/version");
    lane.gate.send(&request.header("authorization", format!("Bearer {token}"))).expect(200);
    lane.admin.assert_vm_alive();
}
