//! The way in and out for people.

use url::Url;

use super::{Story, story};
use crate::client::Request;
use crate::cookie_client::{CookieClient, LOGIN, SESSION, SetCookie};
use crate::http1::Answer;
use crate::keycloak_login::{
    authenticate, callback_request, is_form, log_in, logged_in, open, parameter,
};
use crate::world::{prefect_sees_nothing, world};

const ABOUT: &str = "people";

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "a login by the form ends on the deep link with its query", deep_link),
        story(ABOUT, "the session cookie is small and closed", session_cookie),
        story(ABOUT, "an admin uses the API by cookie", admin_by_cookie),
        story(ABOUT, "a viewer reads by POST filter and may not write", viewer),
        story(ABOUT, "an operator runs, and may not clear the database", operator),
        story(ABOUT, "somebody without a role is told who he is and what is needed", no_role),
        story(ABOUT, "the second login asks nothing", single_sign_on),
        story(ABOUT, "userinfo says who one is and shows no token", userinfo),
        story(ABOUT, "sign-out ends the session at Keycloak too", sign_out),
        story(ABOUT, "a link or image elsewhere signs nobody out", foreign_sign_out),
        story(ABOUT, "frames, prefetches and scripts start no login", no_login_but_navigations),
        story(ABOUT, "a changed session cookie is no session", changed_cookie),
    ]
}

fn deep_link() {
    let gate = &world().gate;
    let mut visitor = CookieClient::new(gate);
    let asked = visitor.navigate("/runs?x=1&y=2").expect(302);
    assert_eq!(asked.header("cache-control"), Some("no-store"));
    let there = Url::parse(asked.location()).unwrap();
    assert_eq!(
        there.as_str().split('?').next().unwrap(),
        format!("{}/protocol/openid-connect/auth", world().layout.issuer())
    );
    let sent = |name: &str| parameter(asked.location(), name).unwrap_or_default();
    assert_eq!(sent("response_type"), "code");
    assert_eq!(sent("code_challenge_method"), "S256");
    assert_eq!(sent("redirect_uri"), format!("{}/oauth2/callback", gate.origin()));
    for name in ["state", "nonce", "code_challenge"] {
        assert!(sent(name).len() >= 22, "{name} is short: {}", sent(name));
    }
    let cookies: Vec<SetCookie> = asked.all("set-cookie").map(SetCookie::parse).collect();
    assert_eq!(cookies.len(), 1, "{cookies:?}");
    assert!(cookies[0].name.starts_with(LOGIN));
    assert_closed(&cookies[0]);

    let callback = authenticate(&mut visitor, asked.location(), "alice");
    let done = visitor.send(callback_request(&callback)).expect(302);
    assert_eq!(done.location(), format!("{}/runs?x=1&y=2", gate.origin()));
    assert_eq!(visitor.jar.names(LOGIN), Vec::<&str>::new(), "the login cookie stays");
    let page = visitor.navigate("/runs?x=1&y=2").expect(200);
    assert!(page.text().contains("<html"), "{}", page.text());
}

fn session_cookie() {
    let mut visitor = CookieClient::new(&world().gate);
    let done = log_in(&mut visitor, "/", "alice");
    let cookies: Vec<SetCookie> = done.all("set-cookie").map(SetCookie::parse).collect();
    let session = cookies.iter().find(|cookie| cookie.name == SESSION).unwrap();
    assert_closed(session);
    let size = session.name.len() + 1 + session.value.len();
    assert!(size <= 1536, "{size} bytes");
}

#[track_caller]
fn assert_closed(cookie: &SetCookie) {
    for attribute in ["secure", "httponly", "samesite=lax", "path=/"] {
        assert!(cookie.has(attribute), "{attribute}: {cookie:?}");
    }
    assert!(!cookie.attributes.iter().any(|a| a.starts_with("domain")), "{cookie:?}");
    assert!(cookie.name.starts_with("__Host-"));
}

fn admin_by_cookie() {
    let mut alice = logged_in("alice");
    let answer = alice.fetch("/api/admin/version").expect(200);
    assert_eq!(answer.text().trim_matches('"'), world().stack.prefect.version);
    assert!(
        answer
            .header("cache-control")
            .is_some_and(|c| c.contains("private") || c.contains("no-store"))
    );
    assert!(!answer.has("access-control-allow-origin"));
    let nobodys = r#"{"flows":{"name":{"any_":["made by nobody"]}}}"#;
    assert_eq!(alice.post("/api/flows/filter", nobodys).expect(200).json(), serde_json::json!([]));
}

fn viewer() {
    let mut carol = logged_in("carol");
    carol.post("/api/flow_runs/filter", "{\"limit\":1}").expect(200);
    carol.fetch("/api/admin/version").expect(200);
    let refused = prefect_sees_nothing(world().admin, || {
        carol.post("/api/flows/", "{\"name\":\"written-by-a-viewer\"}").expect(403)
    });
    assert_refusal(&refused, "role_missing");
}

fn operator() {
    let mut bob = logged_in("bob");
    bob.post("/api/flow_runs/filter", "{\"limit\":1}").expect(200);
    let refused = prefect_sees_nothing(world().admin, || {
        bob.post("/api/admin/database/clear", "{\"confirm\":true}").expect(403)
    });
    assert_refusal(&refused, "role_missing");
    // Past the gate: Prefect itself says that there is no such run.
    let body = "{\"state\":{\"type\":\"CANCELLING\"}}";
    bob.post("/api/flow_runs/00000000-0000-0000-0000-000000000000/set_state", body).expect(404);
}

#[track_caller]
pub fn assert_refusal(answer: &Answer, code: &str) {
    assert_eq!(answer.code(), code);
    let body = answer.json();
    for name in ["detail", "exception_message"] {
        assert!(body[name].as_str().is_some_and(|text| !text.is_empty()), "{body}");
    }
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

fn no_role() {
    let mut dave = logged_in("dave");
    let page = prefect_sees_nothing(world().admin, || dave.navigate("/").expect(403));
    let html = page.text();
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    assert!(
        html.contains("dave") && html.contains("viewer") && html.contains("sign_out"),
        "{html}"
    );
    assert!(!html.contains("<script"));
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
    assert!(page.body.len() <= 10_000, "{} bytes", page.body.len());
    assert_refusal(&dave.fetch("/api/admin/version").expect(403), "no_role");
}

fn single_sign_on() {
    let mut visitor = logged_in("alice");
    visitor.jar.0.clear();
    let asked = visitor.navigate("/flows").expect(302);
    assert!(!is_form(&open(&mut visitor, asked.location())));
    let done = log_in(&mut visitor, "/flows", "alice");
    assert_eq!(done.location(), format!("{}/flows", world().gate.origin()));
}

fn userinfo() {
    let mut bob = logged_in("bob");
    let told = bob.fetch("/oauth2/userinfo").expect(200);
    let body = told.json();
    assert_eq!((&body["preferredUsername"], &body["role"]), (&"bob".into(), &"operator".into()));
    assert!(!told.text().contains("eyJ"), "a token: {}", told.text());
    let mut nobody = CookieClient::new(&world().gate);
    nobody.fetch("/oauth2/userinfo").expect(401);
}

fn sign_out() {
    let mut alice = logged_in("alice");
    let page = alice.navigate("/oauth2/sign_out").expect(200);
    assert!(page.text().contains("signed out"), "{}", page.text());
    assert!(!alice.jar.0.contains_key(SESSION), "the session cookie stays");
    alice.fetch("/api/admin/version").expect(401);
    let asked = alice.navigate("/").expect(302);
    // The browser still has Keycloak's cookies: their session must be over.
    assert!(!alice.keycloak.0.is_empty());
    assert!(is_form(&open(&mut alice, asked.location())), "Keycloak still knows alice");
}

fn foreign_sign_out() {
    let mut alice = logged_in("alice");
    let image = Request::get("/oauth2/sign_out").headers(&[
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "no-cors"),
        ("sec-fetch-dest", "image"),
    ]);
    alice.send(image).expect(403);
    let asked =
        alice.send(Request::get("/oauth2/sign_out").navigation_from("cross-site")).expect(200);
    assert!(asked.text().contains("<form"), "no question: {}", asked.text());
    let form = Request::new("POST", "/oauth2/sign_out")
        .form("")
        .header("origin", "https://evil.example")
        .header("sec-fetch-site", "cross-site");
    assert_eq!(alice.send(form).expect(403).code(), "csrf");
    alice.fetch("/api/admin/version").expect(200);
}

fn no_login_but_navigations() {
    let kinds: [&[(&str, &str)]; 6] = [
        &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe"), ("accept", "text/html")],
        &[
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
            ("sec-purpose", "prefetch"),
        ],
        &[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty"), ("accept", "application/json")],
        &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")],
        &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "script"), ("accept", "text/html")],
        &[("x-requested-with", "XMLHttpRequest"), ("accept", "*/*")],
    ];
    for headers in kinds {
        for target in ["/", "/api/admin/version", "/oauth2/start?rd=/x"] {
            let answer = prefect_sees_nothing(world().admin, || {
                world().gate.send(&Request::get(target).headers(headers))
            });
            assert_eq!(answer.status, 401, "{target} {headers:?}");
            assert_refusal(&answer, "not_authenticated");
            assert!(!answer.has("set-cookie") && !answer.has("location"), "{target} {headers:?}");
        }
    }
    let posted = Request::post("/", "{}").navigation();
    assert_eq!(world().gate.send(&posted).status, 401, "a POST starts no login");
}

fn changed_cookie() {
    let alice = logged_in("alice");
    let value = alice.session();
    for at in [0, 1, value.len() / 2, value.len() - 1] {
        let mut bytes = value.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = format!("{SESSION}={}", String::from_utf8(bytes).unwrap());
        let request = Request::get("/api/admin/version").fetch().header("cookie", changed);
        let answer = prefect_sees_nothing(world().admin, || world().gate.send(&request));
        assert_eq!(answer.status, 401, "byte {at}");
    }
}
