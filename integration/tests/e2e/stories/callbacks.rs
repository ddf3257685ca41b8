//! The way back from Keycloak: used, foreign, broken, many at once.

use super::{Story, story};
use crate::client::Request;
use crate::cookie_client::{CookieClient, LOGIN, SESSION};
use crate::http1::Answer;
use crate::keycloak_login::{authenticate, callback_request, log_in, logged_in, open, parameter};
use crate::world::{prefect_sees_nothing, world};

const ABOUT: &str = "callback";

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "a reload goes on with a session", reload_with_session),
        story(ABOUT, "a used or bookmarked one without a session is one fresh login", bookmark),
        story(
            ABOUT,
            "each parameter missing, empty, twice or HTML is a clean 400",
            broken_parameters,
        ),
        story(ABOUT, "a made-up code with the right state gives no session", made_up_code),
        story(ABOUT, "somebody else's state is a login of one's own", foreign_state),
        story(ABOUT, "logins that fail again and again end on a page", loop_ends),
        story(ABOUT, "the answer of another provider is refused", foreign_issuer),
        story(ABOUT, "a refusal of Keycloak's is told", provider_error),
        story(ABOUT, "two attempts at once both succeed", two_attempts),
        story(ABOUT, "six attempts keep at most five cookies", six_attempts),
    ]
}

/// A visitor at the point where Keycloak sends him back, and the callback's path.
fn on_the_way_back(path: &str) -> (CookieClient, String) {
    let mut visitor = CookieClient::new(&world().gate);
    let asked = visitor.navigate(path).expect(302);
    let callback = authenticate(&mut visitor, asked.location(), "alice");
    (visitor, callback)
}

#[track_caller]
fn assert_page_with_a_way_on(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert!(!answer.has("location"));
    let html = answer.text();
    assert!(html.contains("href=\"/oauth2/start"), "no way on: {html}");
    assert!(!html.contains("<script"), "{html}");
    assert!(
        !answer
            .all("set-cookie")
            .any(|line| line.starts_with(&format!("{SESSION}=")) && !line.contains("Max-Age=0")),
        "a session: {:?}",
        answer.headers
    );
}

fn reload_with_session() {
    let (mut visitor, callback) = on_the_way_back("/runs");
    visitor.send(callback_request(&callback)).expect(302);
    let session = visitor.session();
    for _ in 0..3 {
        let again = visitor.send(callback_request(&callback)).expect(302);
        assert_eq!(again.location(), format!("{}/runs", world().gate.origin()));
    }
    assert_eq!(visitor.session(), session);
    visitor.fetch("/api/admin/version").expect(200);
    // Keycloak ends a session whose code comes twice: it must not have.
    let asked = {
        visitor.jar.0.clear();
        visitor.navigate("/").expect(302)
    };
    open(&mut visitor, asked.location()).expect(302);
}

fn bookmark() {
    let (mut visitor, callback) = on_the_way_back("/runs");
    visitor.send(callback_request(&callback)).expect(302);
    visitor.jar.0.clear();
    let answer = prefect_sees_nothing(world().admin, || visitor.send(callback_request(&callback)));
    finish_fresh_login(&mut visitor, &answer);
}

/// What an answer begins is a login, and it works.
#[track_caller]
fn finish_fresh_login(visitor: &mut CookieClient, answer: &Answer) {
    assert_eq!(answer.status, 302, "{}", answer.text());
    assert!(answer.location().starts_with("https://keycloak.localhost"), "{}", answer.location());
    let back = authenticate(visitor, answer.location(), "alice");
    visitor.send(callback_request(&back)).expect(302);
    visitor.fetch("/api/admin/version").expect(200);
}

fn loop_ends() {
    let (mut visitor, callback) = on_the_way_back("/runs");
    visitor.jar.0.clear();
    // Each of them is a stray one: the browser has lost the attempt's cookie.
    let strays: Vec<Answer> = (0..3).map(|_| visitor.send(callback_request(&callback))).collect();
    assert_eq!(strays.iter().map(|answer| answer.status).collect::<Vec<_>>(), [302, 302, 400]);
    assert_page_with_a_way_on(&strays[2], 400);
    assert!(strays[2].text().contains("several times"), "{}", strays[2].text());
    // The way on leads on.
    let on = visitor.send(Request::get("/oauth2/start").navigation_from("same-origin"));
    finish_fresh_login(&mut visitor, &on);
}

fn broken_parameters() {
    let (mut visitor, callback) = on_the_way_back("/runs");
    let value = |name: &str| parameter(&format!("https://x{callback}"), name).unwrap();
    let good: Vec<(&str, String)> =
        ["state", "code", "iss"].map(|name| (name, value(name))).to_vec();
    let query = |pairs: &[(&str, String)]| {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    };
    let mut queries = vec!["=".into(), "&&&".into(), "%".into(), "code=%ff&state=%fe".into()];
    for at in 0..good.len() {
        let changed = |value: Option<String>| {
            let mut pairs = good.clone();
            match value {
                Some(value) => pairs[at].1 = value,
                None => drop(pairs.remove(at)),
            }
            query(&pairs)
        };
        queries.push(changed(None));
        queries.push(changed(Some(String::new())));
        queries.push(changed(Some("\"><script>alert(1)</script>".into())));
        queries.push(changed(Some("x".repeat(3000))));
        let mut twice = good.clone();
        twice.push(good[at].clone());
        queries.push(query(&twice));
    }
    // A made-up code goes to Keycloak, which burns nothing: that has its own test.
    queries.retain(|query| !query.contains("code=%22"));
    let before = visitor.clone();
    for query in queries {
        let mut own = before.clone();
        let request = callback_request(&format!("/oauth2/callback?{query}"));
        let answer = prefect_sees_nothing(world().admin, || own.send(request));
        assert!(!answer.text().contains("alert(1)"), "{query}: {}", answer.text());
        // A state that is nobody's is a stray callback, and a fresh login.
        if answer.status != 302 {
            assert_page_with_a_way_on(&answer, 400);
        }
        assert!(!own.jar.0.contains_key(SESSION), "{query}");
    }
    // None of that has used up the attempt of the browser that still has its cookie.
    visitor.send(callback_request(&callback)).expect(302);
    visitor.fetch("/api/admin/version").expect(200);
}

fn made_up_code() {
    let (mut visitor, callback) = on_the_way_back("/runs");
    let code = parameter(&format!("https://x{callback}"), "code").unwrap();
    let forged = callback.replace(&code, "%22%3E%3Cscript%3Ealert(1)%3C/script%3E");
    let answer = visitor.send(callback_request(&forged));
    assert!(!answer.text().contains("alert(1)"));
    finish_fresh_login(&mut visitor, &answer);
}

fn foreign_state() {
    // Login CSRF: the attacker's callback in the victim's browser.
    let (_attacker, callback) = on_the_way_back("/runs");
    let mut victim = CookieClient::new(&world().gate);
    victim.navigate("/").expect(302);
    let answer = victim.send(callback_request(&callback));
    finish_fresh_login(&mut victim, &answer);
    // With a session the victim keeps his own.
    let mut carol = logged_in("carol");
    carol.send(callback_request(&callback)).expect(302);
    assert_eq!(carol.fetch("/oauth2/userinfo").json()["preferredUsername"], "carol");
}

fn foreign_issuer() {
    let (mut visitor, callback) = on_the_way_back("/runs");
    let own = parameter(&format!("https://x{callback}"), "iss").unwrap();
    let encode =
        |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let query = callback.split_once('?').unwrap().1;
    let foreign: Vec<String> = query
        .split('&')
        .map(|pair| {
            if pair.starts_with("iss=") {
                format!("iss={}", encode("https://evil.example"))
            } else {
                pair.to_owned()
            }
        })
        .collect();
    assert!(own.starts_with("https://keycloak.localhost"));
    let request = callback_request(&format!("/oauth2/callback?{}", foreign.join("&")));
    assert_page_with_a_way_on(&visitor.send(request), 400);
}

fn provider_error() {
    let mut visitor = CookieClient::new(&world().gate);
    // `prompt=none` without a session: Keycloak itself answers with an error.
    let silent = |visitor: &mut CookieClient, asked: &Answer| {
        let state = parameter(asked.location(), "state").unwrap();
        let silent = open(visitor, &format!("{}&prompt=none", asked.location())).expect(302);
        let to = silent.location();
        assert!(to.contains("error=login_required") && to.contains(&state), "{to}");
        let back = crate::keycloak_login::path_of(to);
        visitor.send(callback_request(&back))
    };
    let asked = visitor.navigate("/runs?tab=1").expect(302);
    // One login by itself, in which Keycloak may ask the person; then a page.
    let again = silent(&mut visitor, &asked).expect(302);
    assert!(again.location().starts_with("https://keycloak.localhost"), "{}", again.location());
    let page = silent(&mut visitor, &again);
    assert_page_with_a_way_on(&page, 403);
    assert!(page.text().contains("/oauth2/start?rd=%2Fruns%3Ftab%3D1"), "{}", page.text());
}

fn two_attempts() {
    let mut visitor = CookieClient::new(&world().gate);
    let first = visitor.navigate("/runs?tab=1").expect(302);
    let second = visitor.navigate("/flows?tab=2").expect(302);
    let second_back = authenticate(&mut visitor, second.location(), "alice");
    let first_back = authenticate(&mut visitor, first.location(), "alice");
    let origin = world().gate.origin();
    let done = visitor.send(callback_request(&first_back)).expect(302);
    assert_eq!(done.location(), format!("{origin}/runs?tab=1"));
    let done = visitor.send(callback_request(&second_back)).expect(302);
    assert_eq!(done.location(), format!("{origin}/flows?tab=2"));
    visitor.fetch("/api/admin/version").expect(200);
    assert_eq!(visitor.jar.names(LOGIN), Vec::<&str>::new());
}

fn six_attempts() {
    let mut visitor = CookieClient::new(&world().gate);
    let mut last = String::new();
    for attempt in 0..6 {
        last =
            visitor.navigate(&format!("/runs?attempt={attempt}")).expect(302).location().to_owned();
        assert!(visitor.jar.names(LOGIN).len() <= 5, "{:?}", visitor.jar.names(LOGIN));
    }
    assert_eq!(visitor.jar.names(LOGIN).len(), 5);
    let back = authenticate(&mut visitor, &last, "alice");
    let done = visitor.send(callback_request(&back)).expect(302);
    assert_eq!(done.location(), format!("{}/runs?attempt=5", world().gate.origin()));
    // And one more login with four old ones left.
    visitor.jar.0.remove(SESSION);
    log_in(&mut visitor, "/", "alice");
}
