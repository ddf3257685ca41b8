//! Whatever fails between the first redirect and the session, the person ends on the page that was
//! asked for, with at most one click.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::answer::reply::Reply;
use crate::testing::browser::Browser;
use crate::testing::idp::Mood;
use crate::testing::{ISSUER, PUBLIC, World, reply_header};
use crate::wire::http::query::{encode_value, only};

/// The page that was asked for.
const ASKED: &str = "/runs/flow-run/1?tab=logs&x=%20";

/// What the person sees next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The page that was asked for.
    Asked,
    /// The provider, which may ask for nothing.
    Login,
    /// A page that tries again by itself.
    Retrying(u16),
    /// A page with a link.
    Page(u16),
}

/// Something goes wrong with the login of a browser that was sent to the provider, and is mended
/// afterwards. The callback is the provider's good answer.
type Fault = fn(&mut World, &mut Browser, &str) -> Reply;

const FAULTS: &[(&str, Fault, Next)] = &[
    ("nothing", |world, browser, callback| load(world, browser, callback), Next::Asked),
    (
        "the login page was open for too long",
        |world, browser, callback| {
            world.pass(31 * 60);
            load(world, browser, callback)
        },
        Next::Login,
    ),
    (
        "the callback was used",
        |world, browser, callback| {
            let reply = load(world, browser, callback);
            assert_eq!(reply.status, 302);
            browser.cookies.clear();
            load(world, browser, callback)
        },
        Next::Login,
    ),
    (
        "the browser lost its cookies",
        |world, browser, callback| {
            browser.cookies.clear();
            load(world, browser, callback)
        },
        Next::Login,
    ),
    (
        "Envoy has other keys",
        |world, browser, callback| {
            browser.cookies.values_mut().for_each(|value| *value = "A".repeat(value.len()));
            load(world, browser, callback)
        },
        Next::Login,
    ),
    (
        "nine more tabs",
        |world, browser, callback| {
            for tab in 0..9 {
                world.pass(1);
                browser.start_login(world, &format!("/tab-{tab}"));
            }
            load(world, browser, callback)
        },
        Next::Login,
    ),
    (
        "another issuer answers",
        |world, browser, callback| {
            load(world, browser, &callback.replace("sso.example", "evil.example"))
        },
        Next::Page(400),
    ),
    (
        "a parameter twice",
        |world, browser, callback| load(world, browser, &format!("{callback}&code=d")),
        Next::Page(400),
    ),
    (
        "neither code nor error",
        |world, browser, callback| load(world, browser, &callback.replace("code=", "cod=")),
        Next::Page(400),
    ),
    (
        "the token endpoint is away",
        |world, browser, callback| {
            world.idp.mood = Mood::Away;
            load(world, browser, callback)
        },
        Next::Retrying(503),
    ),
    (
        "the token endpoint has no cluster",
        |world, browser, callback| {
            world.idp.mood = Mood::NoCluster;
            load(world, browser, callback)
        },
        Next::Retrying(503),
    ),
    (
        "the provider refuses the code",
        |world, browser, callback| {
            world.idp.code_refused = true;
            load(world, browser, callback)
        },
        Next::Login,
    ),
    (
        "the provider refuses the client",
        |world, browser, callback| {
            world.idp.mood = Mood::ClientRefused;
            load(world, browser, callback)
        },
        Next::Page(502),
    ),
    (
        "status 429",
        |world, browser, callback| {
            tokens(world, browser, callback, 429, r#"{"error":"slow_down"}"#)
        },
        Next::Retrying(503),
    ),
    (
        "status 500",
        |world, browser, callback| tokens(world, browser, callback, 500, ""),
        Next::Retrying(503),
    ),
    (
        "no JSON",
        |world, browser, callback| tokens(world, browser, callback, 200, "<html>"),
        Next::Retrying(503),
    ),
    (
        "an error with status 200",
        |world, browser, callback| {
            tokens(world, browser, callback, 200, r#"{"error":"invalid_grant"}"#)
        },
        Next::Login,
    ),
    (
        "a lasting error",
        |world, browser, callback| {
            tokens(world, browser, callback, 400, r#"{"error":"not_allowed"}"#)
        },
        Next::Page(502),
    ),
    (
        "no ID token",
        |world, browser, callback| {
            tokens(world, browser, callback, 200, r#"{"token_type":"Bearer","access_token":"a"}"#)
        },
        Next::Page(502),
    ),
    (
        "an ID token that does not verify",
        |world, browser, callback| {
            world.idp.instead_of_id = Some("a.b.c".to_owned());
            load(world, browser, callback)
        },
        Next::Page(502),
    ),
    (
        "an ID token of another attempt",
        |world, browser, callback| {
            world.idp.nonce = "another".to_owned();
            load(world, browser, callback)
        },
        Next::Page(502),
    ),
    (
        "the key is not published",
        |world, browser, callback| {
            world.pass(60);
            world.idp.rotate("k2");
            world.idp.instead_of_keys = Some(b"{}".to_vec());
            load(world, browser, callback)
        },
        Next::Retrying(503),
    ),
    (
        "too many logins at once",
        |world, browser, callback| {
            while world.site.take_login_slot() {}
            let reply = load(world, browser, callback);
            (0..crate::foundation::limits::LOGINS_IN_FLIGHT)
                .for_each(|_| world.site.release_login_slot());
            reply
        },
        Next::Retrying(503),
    ),
];

/// The error codes of OAuth (RFC 6749 §4.1.2.1) and OpenID Connect (Core §3.1.2.6), with a
/// description where a provider gives the code a meaning of its own.
const ERRORS: &[(&str, &str, Next)] = &[
    ("access_denied", "", Next::Page(403)),
    ("invalid_request", "Missing parameter", Next::Page(403)),
    ("unauthorized_client", "", Next::Page(403)),
    ("unsupported_response_type", "", Next::Page(403)),
    ("invalid_scope", "", Next::Page(403)),
    ("server_error", "", Next::Retrying(503)),
    ("temporarily_unavailable", "", Next::Retrying(503)),
    ("temporarily_unavailable", "authentication_expired", Next::Login),
    ("interaction_required", "", Next::Login),
    ("login_required", "", Next::Login),
    ("account_selection_required", "", Next::Login),
    ("consent_required", "", Next::Login),
    ("invalid_request_uri", "", Next::Page(403)),
    ("invalid_request_object", "", Next::Page(403)),
    ("request_not_supported", "", Next::Page(403)),
    ("request_uri_not_supported", "", Next::Page(403)),
    ("registration_not_supported", "", Next::Page(403)),
    ("teapot", "short and stout", Next::Page(403)),
];

fn load(world: &mut World, browser: &mut Browser, path: &str) -> Reply {
    browser.load(world, path).reply()
}

fn tokens(
    world: &mut World,
    browser: &mut Browser,
    callback: &str,
    status: u16,
    body: &str,
) -> Reply {
    world.idp.instead_of_tokens = Some((status, body.as_bytes().to_vec()));
    load(world, browser, callback)
}

fn error_callback(callback: &str, error: &str, description: &str) -> String {
    let (before, after) = callback.split_once("code=planted-code").unwrap();
    let description = format!("error={error}&error_description={}", encode_value(description));
    format!("{before}{description}{after}")
}

/// What the answer shows.
fn next(reply: &Reply) -> Next {
    let to = reply_header(reply, "location").unwrap_or_default();
    match (reply.status, reply_header(reply, "refresh")) {
        (302, None) if to == format!("{PUBLIC}{ASKED}") => Next::Asked,
        (302, None) if to.starts_with(&format!("{ISSUER}/auth?")) => Next::Login,
        (302, _) => panic!("to {to}"),
        (status, Some(_)) => Next::Retrying(status),
        (status, None) => Next::Page(status),
    }
}

/// Follows redirects, pages that try again by themselves and links. Gives where that ends, and how
/// many links were clicked.
fn followed(world: &mut World, browser: &mut Browser, mut reply: Reply) -> (String, usize) {
    let mut clicks = 0;
    for _ in 0..10 {
        if reply.status == 302 {
            let to = reply_header(&reply, "location").unwrap().to_owned();
            let Some((_, query)) = to.strip_prefix(ISSUER).and_then(|rest| rest.split_once('?'))
            else {
                return (to, clicks);
            };
            let parameter = |name| only(query, name).unwrap().unwrap().into_owned();
            world.idp.nonce = parameter("nonce");
            let (state, iss) = (parameter("state"), encode_value(ISSUER));
            reply =
                load(world, browser, &format!("/oauth2/callback?state={state}&code=c&iss={iss}"));
            continue;
        }
        let body = String::from_utf8(reply.body.clone()).unwrap();
        let link = body.split("href=\"").nth(1).and_then(|rest| rest.split('"').next());
        let link = link.unwrap_or_else(|| panic!("no way on: {body}")).to_owned();
        let refresh = reply_header(&reply, "refresh").and_then(|value| value.split_once("url="));
        let again = refresh.map(|(_, address)| address.to_owned());
        clicks += usize::from(again.is_none());
        reply = load(world, browser, &again.unwrap_or(link));
    }
    panic!("round and round");
}

fn mend(world: &mut World) {
    world.idp.mood = Mood::Well;
    world.idp.code_refused = false;
    world.idp.instead_of_tokens = None;
    world.idp.instead_of_id = None;
    world.idp.instead_of_keys = None;
    world.pass(11);
    world.work();
}

#[test]
fn a_login_that_fails_ends_on_the_page_that_was_asked_for() {
    for (fault, cause, wanted) in FAULTS {
        let (mut world, mut browser) = (World::new(), Browser::default());
        let callback = browser.start_login(&mut world, ASKED);
        let reply = cause(&mut world, &mut browser, &callback);
        assert_eq!(next(&reply), *wanted, "{fault}: {:?}", world.log);
        mend(&mut world);
        let (end, clicks) = followed(&mut world, &mut browser, reply);
        assert_eq!(end, format!("{PUBLIC}{ASKED}"), "{fault}");
        assert_eq!(clicks, usize::from(matches!(wanted, Next::Page(_))), "{fault}");
        assert!(browser.session().is_some(), "{fault}");
    }
}

#[test]
fn an_error_of_the_provider_ends_on_the_page_that_was_asked_for() {
    for (error, description, wanted) in ERRORS {
        let (mut world, mut browser) = (World::new(), Browser::default());
        let callback = browser.start_login(&mut world, ASKED);
        let reply = load(&mut world, &mut browser, &error_callback(&callback, error, description));
        assert_eq!(next(&reply), *wanted, "{error} {description}");
        let line = world.log.iter().find(|line| line.contains("refused"));
        let is_logged = line.is_some_and(|line| line.contains(error) && line.contains(description));
        assert!(*wanted == Next::Login || is_logged, "{error}: {:?}", world.log);
        let (end, _) = followed(&mut world, &mut browser, reply);
        assert_eq!(end, format!("{PUBLIC}{ASKED}"), "{error} {description}");
    }
}

/// Another tab has signed in meanwhile: nobody is told about an attempt that no longer matters.
#[test]
fn a_person_with_a_session_goes_on_whatever_the_old_tab_brings() {
    let cases = ERRORS.iter().map(|(error, description, _)| (*error, *description));
    for (error, description) in cases.chain([("", "a stale code")]) {
        let (mut world, mut browser) = (World::new(), Browser::default());
        let callback = browser.start_login(&mut world, ASKED);
        browser.log_in(&mut world, "/dashboard");
        let stale = if error.is_empty() {
            world.idp.code_refused = true;
            callback
        } else {
            error_callback(&callback, error, description)
        };
        let reply = load(&mut world, &mut browser, &stale);
        assert_eq!(next(&reply), Next::Asked, "{error} {description}");
    }
}

/// The page tries again by itself until the provider is back, and never becomes one that blames the
/// browser.
#[test]
fn a_page_that_tries_again_does_so_until_it_works() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let callback = browser.start_login(&mut world, ASKED);
    world.idp.instead_of_tokens = Some((503, Vec::new()));
    let mut reply = load(&mut world, &mut browser, &callback);
    for _ in 0..12 {
        assert_eq!(next(&reply), Next::Retrying(503));
        world.pass(10);
        let address = reply_header(&reply, "refresh").unwrap().split_once("url=").unwrap().1;
        let address = address.to_owned();
        reply = load(&mut world, &mut browser, &address);
        // The provider has a session of the person, and sends the browser straight back.
        if next(&reply) == Next::Login {
            let to = reply_header(&reply, "location").unwrap().to_owned();
            let query = to.split_once('?').unwrap().1.to_owned();
            let state = only(&query, "state").unwrap().unwrap().into_owned();
            world.idp.nonce = only(&query, "nonce").unwrap().unwrap().into_owned();
            let iss = encode_value(ISSUER);
            let back = format!("/oauth2/callback?state={state}&code=c&iss={iss}");
            reply = load(&mut world, &mut browser, &back);
        }
    }
    mend(&mut world);
    let (end, clicks) = followed(&mut world, &mut browser, reply);
    assert_eq!((end, clicks), (format!("{PUBLIC}{ASKED}"), 0));
}

#[test]
fn a_page_that_asks_to_sign_in_again_knows_what_was_asked_for() {
    let mut settings = crate::testing::configuration();
    settings["session"] = serde_json::json!({"not_before": "2027-02-01T00:00:00Z"});
    let mut world = World::with(&settings);
    let mut browser = Browser::default();
    let callback = browser.start_login(&mut world, ASKED);
    let reply = load(&mut world, &mut browser, &callback);
    let body = String::from_utf8(reply.body).unwrap();
    assert!(body.contains(&format!("/oauth2/start?rd={}", encode_value(ASKED))), "{body}");
}

/// A page that waits for the provider leads to a login by itself. Until that can begin, the session
/// that counts in grace stays.
#[test]
fn a_login_that_cannot_begin_signs_nobody_out() {
    let mut world = World::new();
    let mut browser = world.log_in();
    world.idp.mood = Mood::Away;
    world.pass(31);
    world.work();
    let own = [
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    let headers = browser.headers("GET", "/oauth2/start?rd=%2Fruns", &own);
    let reply = world.request(&headers).1.reply();
    browser.keep(&reply);
    assert_eq!(reply.status, 503);
    assert!(browser.session().is_some());
    mend(&mut world);
    let reply = world.request(&headers).1.reply();
    browser.keep(&reply);
    assert_eq!((reply.status, browser.session()), (302, None), "a login has begun");
}

/// An escape hides no endpoint, which would begin a login or end a session at once.
#[test]
fn no_login_returns_to_an_endpoint() {
    for asked in [
        "/oauth2/start",
        "/%6Fauth2/start",
        "/oauth2/sign_out",
        "/oauth2%2Fstart",
        "/oauth2/token/x",
        "/OAUTH2/../oauth2/start",
    ] {
        let (mut world, mut browser) = (World::new(), Browser::default());
        let start = format!("/oauth2/start?rd={}", encode_value(asked));
        let callback = browser.start_login(&mut world, &start);
        let end = load(&mut world, &mut browser, &callback);
        assert_eq!(reply_header(&end, "location"), Some(format!("{PUBLIC}/").as_str()), "{asked}");
    }
}

/// A query that no cookie could hold is lost, the page is not.
#[test]
fn of_a_long_address_the_page_stays() {
    for (length, kept) in [(1900, true), (2100, false)] {
        let (mut world, mut browser) = (World::new(), Browser::default());
        let asked = format!("/runs?filter={}", "x".repeat(length));
        let end = browser.log_in(&mut world, &asked);
        let wanted = if kept { asked.as_str() } else { "/runs" };
        assert_eq!(end, format!("{PUBLIC}{wanted}"));
    }
}
