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
use crate::http1::Answer;
use crate::keycloak_admin::{admin, allow_callback, text};
use crate::keycloak_login::{log_in, parameter, path_of};
use crate::keycloaks::Keycloak;
use crate::lane::{Lane, Plan};
use crate::recorder::Recorder;
use crate::scripted_idp::{ISSUER, Manner, ScriptedIdp};
use crate::visitor::Visitor;
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

struct Scripted {
    idp: ScriptedIdp,
    recorder: Recorder,
    lane: Lane,
}

fn plan(name: &'static str, idp: &ScriptedIdp, recorder: &Recorder) -> Plan {
    let mut settings = idp.settings();
    settings["session"] = json!({ "recheck": "3s" });
    Plan::new(name).keycloak(idp.port).prefect(recorder.port).workers(2).patch(settings)
}

fn scripted(name: &'static str) -> Scripted {
    let (idp, recorder) = (ScriptedIdp::start(), Recorder::start());
    let lane = plan(name, &idp, &recorder).start();
    Scripted { idp, recorder, lane }
}

/// Somebody who has logged in through the scripted provider.
#[track_caller]
fn logged_in(lane: &Lane, idp: &ScriptedIdp) -> Visitor {
    let (mut visitor, callback) = on_the_way_back(lane, idp);
    visitor.navigate(&callback).expect(302);
    visitor
}

/// Somebody whom the scripted provider sends back, and the callback's path.
#[track_caller]
fn on_the_way_back(lane: &Lane, idp: &ScriptedIdp) -> (Visitor, String) {
    let mut visitor = Visitor::new(&lane.gate);
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
fn all_at_once_answers(visitors: &[Visitor], path: &str) -> Vec<Answer> {
    thread::scope(|scope| {
        let fetch = |visitor: &Visitor| {
            let mut own = visitor.clone();
            scope.spawn(move || own.fetch(path))
        };
        let threads: Vec<_> = visitors.iter().map(fetch).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn all_at_once(visitors: &[Visitor]) -> Vec<u16> {
    all_at_once_answers(visitors, "/api/flows/1").iter().map(|answer| answer.status).collect()
}

fn fifty_at_once() {
    let Scripted { idp, recorder, lane } = scripted("fifty");
    // A second use of a refresh token would end the session.
    idp.script().strict_rotation = true;
    let visitor = logged_in(&lane, &idp);
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
    lane.admin.assert_vm_alive();
}

fn a_thousand() {
    let Scripted { idp, lane, .. } = scripted("thousand");
    idp.script().strict_rotation = true;
    let visitors: Vec<Visitor> = (0..1000).map(|_| logged_in(&lane, &idp)).collect();
    until_due(Instant::now());
    let before = idp.asked(TOKEN);
    let statuses: Vec<u16> = visitors.chunks(25).flat_map(all_at_once).collect();
    let lost = statuses.iter().filter(|status| **status != 200).count();
    assert_eq!(lost, 0, "sessions lost of {}", statuses.len());
    assert_eq!(idp.asked(TOKEN) - before, 1000, "each was refreshed once");
    lane.admin.assert_vm_alive();
}

/// Another Envoy with the same keys. Where the provider allows a refresh token twice (Keycloak:
/// `refreshTokenMaxReuse` of 1 or more) both may ask at the same instant.
fn replicas() {
    let Scripted { idp, recorder, lane } = scripted("replica-one");
    let second = plan("replica-two", &idp, &recorder);
    let mut settings = idp.settings();
    settings["session"] = json!({ "recheck": "3s" });
    settings["public_url"] = lane.gate.origin().into();
    let second = second.patch(settings).start();
    let visitor = logged_in(&lane, &idp);
    let host = lane.gate.public_host();
    let at_both = |visitor: &Visitor| {
        let cookies = visitor.jar.header().unwrap();
        let request = Request::get("/api/flows/1").fetch().header("cookie", cookies).host(&host);
        thread::scope(|scope| {
            let gates = [&lane.gate, &second.gate].into_iter().cycle().take(20);
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
fn at_keycloak(name: &'static str) -> Lane {
    let lane = Plan::new(name).patch(json!({ "session": { "recheck": "3s" } })).start();
    allow_callback(&lane.gate.origin());
    lane
}

fn strict_keycloak() {
    let lane = at_keycloak("strict");
    let rotation = Keycloak::newest().rotate_strictly();
    let mut visitor = Visitor::new(&lane.gate);
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
    lane.admin.assert_vm_alive();
}

fn changes_at_keycloak() {
    let lane = at_keycloak("changes");
    let mut visitor = Visitor::new(&lane.gate);
    log_in(&mut visitor, "/", "dave");
    let id = text(&admin("GET", "/users?username=dave&exact=true", None).json()[0], "id");
    let role = |visitor: &mut Visitor| visitor.fetch("/oauth2/userinfo").json()["role"].clone();
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
    let Scripted { idp, mut lane, .. } = scripted("keys-rotated");
    let own = &world().secrets;
    let (old, new) = (own.cookie_key.clone(), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
    let with = |keys: String| Secrets { cookie_key: keys, ..own.clone() };
    let mut visitors: Vec<Visitor> = (0..50).map(|_| logged_in(&lane, &idp)).collect();
    let sealed_before: Vec<String> = visitors.iter().map(Visitor::session).collect();
    lane.restart_with(with(format!("{new},{old}")));
    let statuses = all_at_once(&visitors);
    assert!(statuses.iter().all(|status| *status == 200), "all at once: {statuses:?}");
    for visitor in &mut visitors {
        visitor.fetch("/api/flows/1").expect(200);
    }
    let sealed_after: Vec<String> = visitors.iter().map(Visitor::session).collect();
    assert!(sealed_before.iter().zip(&sealed_after).all(|(old, new)| old != new), "sealed anew");
    lane.restart_with(with(new.to_owned()));
    for visitor in &mut visitors {
        visitor.fetch("/api/flows/1").expect(200);
    }
    // Whoever was away meanwhile logs in once more: one redirect, no dead end.
    let mut away = visitors[0].clone();
    away.jar.0.insert(crate::visitor::SESSION.to_owned(), sealed_before[0].clone());
    assert!(path_of(away.navigate("/").expect(302).location()).contains("/auth?"));
    assert!(!away.jar.0.contains_key(crate::visitor::SESSION), "the old cookie is cleared");
}

/// More than a worker has places for: a place that is not given back would be missed.
fn leaving() {
    let Scripted { idp, recorder, lane } = scripted("leaving");
    let host = lane.gate.public_host();
    let send_and_leave = |visitor: &Visitor, request: Request| {
        let cookies = visitor.jar.header().unwrap();
        let bytes = request.header("cookie", cookies).bytes(&host);
        let mut connection = lane.gate.connect(PREFECT_HOST).unwrap();
        connection.write_all(&bytes).unwrap();
        connection.flush().unwrap();
    };
    let stayed = logged_in(&lane, &idp);
    idp.behave(TOKEN, Some(Manner::Late(Duration::from_secs(2))));
    for _ in 0..300 {
        let (visitor, callback) = on_the_way_back(&lane, &idp);
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
        logged_in(&lane, &idp).fetch("/api/flows/1").expect(200);
    }
    lane.admin.assert_vm_alive();
}

fn pieces() {
    let Scripted { idp, recorder, lane } = scripted("pieces");
    idp.script().refresh_token_length = 9000;
    let mut visitor = logged_in(&lane, &idp);
    let names = visitor.jar.names(crate::visitor::SESSION);
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
    let left: &Value = &json!(visitor.jar.names(crate::visitor::SESSION));
    assert_eq!(left, &json!([]));
    lane.admin.assert_vm_alive();
}
