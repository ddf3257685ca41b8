//! Sessions over time: refreshed once whatever the load, sealed anew under another key, the same at
//! every replica.

use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use lictor_integration::layout::PREFECT_HOST;
use lictor_integration::secrets::Secrets;
use serde_json::{Value, json};

use super::{Story, story};
use crate::client::Request;
use crate::clock::pause;
use crate::cookie_client::CookieClient;
use crate::gateway::{Gateway, Plan};
use crate::http1::Answer;
use crate::keycloak_admin::{admin, allow_callback, text};
use crate::keycloak_login::{log_in, parameter, path_of};
use crate::keycloak_versions::Keycloak;
use crate::scripted_idp::{ISSUER, Manner, ScriptedGateway, ScriptedIdp};
use crate::world::world;

const ABOUT: &str = "sessions";
const TOKEN: &str = "/realms/prefect/token";
/// How long a decision of these gates counts.
const RECHECK: Duration = Duration::from_secs(3);

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "fifty requests at once are one refresh, and none fails", fifty_at_once)
            .own_provider(),
        story(ABOUT, "a thousand sessions are refreshed, and none is lost", a_thousand)
            .own_provider(),
        story(ABOUT, "two replicas refresh one session at once, and no request fails", replicas)
            .own_provider(),
        story(ABOUT, "a new cookie key loses nobody while the old one is listed", key_rotation)
            .own_provider(),
        story(ABOUT, "with Keycloak's strictest rotation no request fails", strict_keycloak)
            .apart()
            .changing_realm(),
        story(ABOUT, "Keycloak's changes count at the next recheck", changes_at_keycloak)
            .apart()
            .changing_realm(),
        story(ABOUT, "clients that leave while the provider is asked leave no trace", leaving)
            .own_provider(),
        story(ABOUT, "a session that needs several cookies is one session", pieces).own_provider(),
    ]
}

fn recheck() -> Value {
    json!({ "session": { "recheck": format!("{}s", RECHECK.as_secs()) } })
}

fn scripted(name: &'static str) -> ScriptedGateway {
    ScriptedGateway::start(name, &recheck())
}

/// Somebody who has logged in through the scripted provider.
#[track_caller]
fn logged_in(gateway: &Gateway, idp: &ScriptedIdp) -> CookieClient {
    let (mut visitor, callback) = on_the_way_back(gateway, idp);
    visitor.navigate(&callback).expect(302);
    visitor
}

/// Somebody whom the scripted provider sends back, and the callback's path.
#[track_caller]
fn on_the_way_back(gateway: &Gateway, idp: &ScriptedIdp) -> (CookieClient, String) {
    let mut visitor = CookieClient::new(&gateway.gate);
    let asked = visitor.navigate("/").expect(302);
    let value = |name| parameter(asked.location(), name).unwrap();
    idp.script().nonce = value("nonce");
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("state", value("state").as_str()), ("code", "c"), ("iss", ISSUER)])
        .finish();
    (visitor, format!("/oauth2/callback?{query}"))
}

/// Lets what has been decided so far become due.
fn until_due(since: Instant) {
    while since.elapsed() < RECHECK {
        pause(Duration::from_millis(20));
    }
}

/// One fetch of each visitor's, all at once.
fn all_at_once_answers(visitors: &[CookieClient], path: &str) -> Vec<Answer> {
    thread::scope(|scope| {
        let fetch = |visitor: &CookieClient| {
            let mut own = visitor.clone();
            scope.spawn(move || own.fetch(path))
        };
        let threads: Vec<_> = visitors.iter().map(fetch).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn all_at_once(visitors: &[CookieClient]) -> Vec<u16> {
    all_at_once_answers(visitors, "/api/flows/1").iter().map(|answer| answer.status).collect()
}

fn fifty_at_once() {
    let ScriptedGateway { idp, recorder, gateway } = scripted("fifty");
    // A second use of a refresh token would end the session.
    idp.script().strict_rotation = true;
    let visitor = logged_in(&gateway, &idp);
    until_due(Instant::now());
    recorder.take();
    let before = idp.asked(TOKEN);
    idp.behave(TOKEN, Some(Manner::Late(Duration::from_millis(400))));
    let statuses = all_at_once(&vec![visitor.clone(); 50]);
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!(idp.asked(TOKEN) - before, 1, "refreshes");
    assert_eq!(recorder.take().heads.len(), 50, "each reached Prefect");
    // The cookie from before still counts: a browser may have lost the new one.
    let mut old = visitor;
    old.fetch("/api/flows/1").expect(200);
    gateway.admin.assert_vm_alive();
}

fn a_thousand() {
    let ScriptedGateway { idp, gateway, .. } = scripted("thousand");
    idp.script().strict_rotation = true;
    let visitors: Vec<CookieClient> = (0..1000).map(|_| logged_in(&gateway, &idp)).collect();
    until_due(Instant::now());
    let before = idp.asked(TOKEN);
    let statuses: Vec<u16> = visitors.chunks(25).flat_map(all_at_once).collect();
    let lost = statuses.iter().filter(|status| **status != 200).count();
    assert_eq!(lost, 0, "sessions lost of {}", statuses.len());
    assert_eq!(idp.asked(TOKEN) - before, 1000, "each was refreshed once");
    gateway.admin.assert_vm_alive();
}

/// Another Envoy with the same keys. Where the provider allows a refresh token twice (Keycloak:
/// `refreshTokenMaxReuse` of 1 or more) both may ask at the same instant.
fn replicas() {
    let ScriptedGateway { idp, recorder, gateway } = scripted("replica-one");
    let mut settings = recheck();
    settings["public_url"] = gateway.gate.origin().into();
    let second = ScriptedGateway::plan("replica-two", &idp, &recorder, &settings).start();
    let visitor = logged_in(&gateway, &idp);
    let host = gateway.gate.public_host();
    let at_both = |visitor: &CookieClient| {
        let cookies = visitor.jar.header().unwrap();
        let request = Request::get("/api/flows/1").fetch().header("cookie", cookies).host(&host);
        thread::scope(|scope| {
            let gates = [&gateway.gate, &second.gate].into_iter().cycle().take(20);
            let threads: Vec<_> = gates
                .map(|gate| {
                    let request = &request;
                    scope.spawn(move || gate.send(request))
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        })
    };
    for round in 0..3 {
        until_due(Instant::now());
        idp.behave(TOKEN, Some(Manner::Late(Duration::from_millis(200))));
        let answers = at_both(&visitor);
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert!(statuses.iter().all(|status| *status == 200), "round {round}: {statuses:?}");
    }
    second.admin.assert_vm_alive();
}

/// A gate of its own in front of the real Keycloak, with a short recheck.
fn at_keycloak(name: &'static str) -> Gateway {
    let gateway = Plan::new(name).patch(recheck()).start();
    allow_callback(&gateway.gate.origin());
    gateway
}

fn strict_keycloak() {
    let gateway = at_keycloak("strict");
    let rotation = Keycloak::newest().rotate_strictly();
    let mut visitor = CookieClient::new(&gateway.gate);
    log_in(&mut visitor, "/", "alice");
    for round in 0..3 {
        until_due(Instant::now());
        let answers = all_at_once_answers(&vec![visitor.clone(); 50], "/api/admin/version");
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert!(statuses.iter().all(|status| *status == 200), "round {round}: {statuses:?}");
        assert!(answers.iter().all(|answer| answer.has("set-cookie")), "each gets the new cookie");
        // The next round begins with the cookie of any of them.
        visitor.jar.absorb(&answers[round * 7]);
        assert_eq!(rotation.refreshes(), round + 1, "one for each round");
    }
    gateway.admin.assert_vm_alive();
}

fn changes_at_keycloak() {
    let gateway = at_keycloak("changes");
    let mut visitor = CookieClient::new(&gateway.gate);
    log_in(&mut visitor, "/", "dave");
    let id = text(&admin("GET", "/users?username=dave&exact=true", None).json()[0], "id");
    let role =
        |visitor: &mut CookieClient| visitor.fetch("/oauth2/userinfo").json()["role"].clone();
    assert_eq!(role(&mut visitor), Value::Null);
    visitor.fetch("/api/admin/version").expect(403);
    let operator = json!([admin("GET", "/roles/prefect-operator", None).json()]);
    admin("POST", &format!("/users/{id}/role-mappings/realm"), Some(&operator));
    until_due(Instant::now());
    assert_eq!(role(&mut visitor), "operator", "roles are read again");
    visitor.fetch("/api/admin/version").expect(200);
    admin("DELETE", &format!("/users/{id}/role-mappings/realm"), Some(&operator));
    admin("PUT", &format!("/users/{id}"), Some(&json!({ "enabled": false })));
    until_due(Instant::now());
    let ended = visitor.clone().fetch("/api/admin/version");
    admin("PUT", &format!("/users/{id}"), Some(&json!({ "enabled": true })));
    ended.expect(401);
    let page = visitor.navigate("/").expect(302);
    assert!(page.location().contains("/protocol/openid-connect/auth?"), "{}", page.location());
}

fn key_rotation() {
    let ScriptedGateway { idp, mut gateway, .. } = scripted("keys-rotated");
    let own = &world().secrets;
    let (old, new) = (own.cookie_key.clone(), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
    let with = |keys: String| Secrets { cookie_key: keys, ..own.clone() };
    let mut visitors: Vec<CookieClient> = (0..50).map(|_| logged_in(&gateway, &idp)).collect();
    let sealed_before: Vec<String> = visitors.iter().map(CookieClient::session).collect();
    gateway.restart_with(with(format!("{new},{old}")));
    let statuses = all_at_once(&visitors);
    assert!(statuses.iter().all(|status| *status == 200), "all at once: {statuses:?}");
    for visitor in &mut visitors {
        visitor.fetch("/api/flows/1").expect(200);
    }
    let sealed_after: Vec<String> = visitors.iter().map(CookieClient::session).collect();
    assert!(sealed_before.iter().zip(&sealed_after).all(|(old, new)| old != new), "sealed anew");
    gateway.restart_with(with(new.to_owned()));
    for visitor in &mut visitors {
        visitor.fetch("/api/flows/1").expect(200);
    }
    // Whoever was away meanwhile logs in once more: one redirect, no dead end.
    let mut away = visitors[0].clone();
    away.jar.0.insert(crate::cookie_client::SESSION.to_owned(), sealed_before[0].clone());
    assert!(path_of(away.navigate("/").expect(302).location()).contains("/auth?"));
    assert!(!away.jar.0.contains_key(crate::cookie_client::SESSION), "the old cookie is cleared");
}

/// More than a worker has places for: a place that is not given back would be missed.
fn leaving() {
    let ScriptedGateway { idp, recorder, gateway } = scripted("leaving");
    let host = gateway.gate.public_host();
    let send_and_leave = |visitor: &CookieClient, request: Request| {
        let cookies = visitor.jar.header().unwrap();
        let bytes = request.header("cookie", cookies).bytes(&host);
        let mut connection = gateway.gate.connect(PREFECT_HOST).unwrap();
        connection.write_all(&bytes).unwrap();
        connection.flush().unwrap();
    };
    let stayed = logged_in(&gateway, &idp);
    idp.behave(TOKEN, Some(Manner::Late(Duration::from_secs(2))));
    for _ in 0..300 {
        let (visitor, callback) = on_the_way_back(&gateway, &idp);
        send_and_leave(&visitor, Request::get(callback).navigation());
    }
    for _ in 0..300 {
        send_and_leave(&stayed, Request::get("/api/flows/1").fetch());
    }
    idp.behave(TOKEN, None);
    recorder.take();
    let mut stayed = stayed;
    stayed.fetch("/api/flows/1").expect(200);
    for _ in 0..20 {
        logged_in(&gateway, &idp).fetch("/api/flows/1").expect(200);
    }
    gateway.admin.assert_vm_alive();
}

fn pieces() {
    let ScriptedGateway { idp, recorder, gateway } = scripted("pieces");
    idp.script().refresh_token_length = 9000;
    let mut visitor = logged_in(&gateway, &idp);
    let names = visitor.jar.names(crate::cookie_client::SESSION);
    assert_eq!(names.len(), 4, "{names:?}");
    recorder.take();
    visitor.fetch("/api/flows/1").expect(200);
    let head = recorder.take().heads.remove(0).to_ascii_lowercase();
    assert!(!head.contains("cookie:"), "{head}");
    for name in ["__Host-lictor-2", "__Host-lictor-3", "__Host-lictor-4"] {
        let mut without = visitor.clone();
        without.jar.0.remove(name);
        without.fetch("/api/flows/1").expect(401);
        assert_eq!(without.navigate("/").expect(302).status, 302);
    }
    visitor.navigate("/oauth2/sign_out");
    let left: &Value = &json!(visitor.jar.names(crate::cookie_client::SESSION));
    assert_eq!(left, &json!([]));
    gateway.admin.assert_vm_alive();
}
