//! Verdicts for a proxy that holds the request: 202, 401 or 403, whatever comes.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::rc::Rc;

use crate::Site;
use crate::config::{self, Config};
use crate::testing::browser::SCRIPT;
use crate::testing::idp::Mood;
use crate::testing::machines::{HTPASSWD, htpasswd};
use crate::testing::{
    API_KEY, AUTH_REQUEST_SECRET, AUTH_STRING, World, basic, configuration, environment, host,
    reply_header, request, request_to,
};
use crate::workers::NoStore;

const SECRET: (&str, &str) = ("x-lictor-auth-request-secret", AUTH_REQUEST_SECRET);

fn ask(world: &mut World, path: &str, lines: &[(&str, &str)]) -> crate::answer::reply::Reply {
    let reply = world.request(&request("GET", path, lines)).1.reply();
    assert!(matches!(reply.status, 202 | 401 | 403), "{path} {lines:?}: {}", reply.status);
    let cookies = reply.headers().iter().filter(|(name, _)| *name == "set-cookie").count();
    assert!(cookies <= 1, "nginx passes on the first cookie only");
    reply
}

fn status(world: &mut World, path: &str, lines: &[(&str, &str)]) -> u16 {
    ask(world, path, lines).status
}

#[test]
fn each_kind_of_credential_has_its_verdict() {
    let mut settings = configuration();
    settings["machines"]["htpasswd"] = htpasswd();
    let mut world = World::with(&settings);
    let (password, wrong_password) = (basic(HTPASSWD.0), basic("reports:wrong"));
    let token = world.bearer();
    let (key, wrong) = (basic(&format!("etl:{API_KEY}")), basic("etl:lk_wrong"));
    for (line, wanted) in [
        (("authorization", token.as_str()), 202),
        (("authorization", key.as_str()), 202),
        (("x-api-key", API_KEY), 202),
        (("authorization", wrong.as_str()), 401),
        (("authorization", password.as_str()), 202),
        (("authorization", wrong_password.as_str()), 401),
        (("authorization", "Bearer e30.e30.AA"), 401),
        (("authorization", "Digest x"), 401),
        (("accept", "*/*"), 401),
        (("authorization", basic(AUTH_STRING).as_str()), 401),
    ] {
        assert_eq!(status(&mut world, "/oauth2/auth", &[line]), wanted, "{line:?}");
    }
    let reply = ask(&mut world, "/oauth2/auth", &[("authorization", &key)]);
    assert_eq!(reply_header(&reply, "x-auth-request-user"), Some("key:etl"));
    assert_eq!(reply_header(&reply, "x-auth-request-groups"), Some("worker"));
    assert!(reply.body.is_empty());
    let reply = ask(&mut world, "/oauth2/auth", &[]);
    assert!(reply_header(&reply, "www-authenticate").is_some());
}

/// A client may make a proxy drop its secret. Without it the role would not be judged for the
/// operation.
#[test]
fn a_described_request_without_the_secret_is_refused() {
    let key = basic(&format!("etl:{API_KEY}"));
    let descriptions: [&[(&str, &str)]; 4] = [
        &[("x-original-method", "GET"), ("x-original-uri", "/api/flows/1")],
        &[("x-forwarded-method", "GET"), ("x-forwarded-uri", "/api/flows/1")],
        &[("x-original-method", "GET")],
        &[("x-forwarded-method", "GET")],
    ];
    for lines in descriptions {
        let lines = [lines, &[("authorization", key.as_str())]].concat();
        assert_eq!(status(&mut World::new(), "/oauth2/auth", &lines), 403, "{lines:?}");
        // Where there is no secret, nothing is judged by a description.
        let without =
            |name: &str| environment(name).filter(|_| name != config::AUTH_REQUEST_SECRET);
        let text = configuration().to_string();
        let config = Config::compile(text.as_bytes(), &without).unwrap();
        let mut world = World::new();
        world.site = Site::new(config, host(Rc::new(NoStore)));
        assert_eq!(status(&mut world, "/oauth2/auth", &lines), 202, "{lines:?}");
    }
    // The path alone, as configurations for oauth2-proxy have it, describes nothing.
    for name in ["x-original-uri", "x-forwarded-uri"] {
        let lines = [("authorization", key.as_str()), (name, "/api/flows/1")];
        assert_eq!(status(&mut World::new(), "/oauth2/auth", &lines), 202, "{name}");
    }
}

#[test]
fn a_role_that_is_asked_for_must_be_there() {
    let mut world = World::new();
    let key = basic(&format!("etl:{API_KEY}"));
    for (query, wanted) in [
        ("", 202),
        ("?role=worker", 202),
        ("?role=viewer", 403),
        ("?role=admin", 403),
        ("?role=root", 403),
        ("?role=", 403),
        ("?role=worker&role=admin", 403),
    ] {
        let path = format!("/oauth2/auth{query}");
        assert_eq!(status(&mut world, &path, &[("authorization", &key)]), wanted, "{query}");
    }
}

#[test]
fn a_cookie_counts_with_proof_of_where_the_request_comes_from() {
    let mut world = World::new();
    let browser = world.log_in();
    let cookie = browser.cookie_header();
    let cookie = ("cookie", cookie.as_str());
    let page = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    let ours = ("origin", "https://prefect.example.com");
    let (theirs, nobody_s) = (("origin", "https://evil.example"), ("origin", "null"));
    let form = ("content-type", "application/x-www-form-urlencoded");
    let (empty, with_body) = (("content-length", "0"), ("content-length", "2"));
    let chunked = ("transfer-encoding", "chunked");
    let old = basic("old:password");
    let old = ("authorization", old.as_str());
    for (lines, wanted) in [
        (vec![cookie, ("sec-fetch-site", "same-origin")], 202),
        (vec![cookie, ("sec-fetch-site", "none")], 202),
        (vec![cookie, ours], 202),
        // The way back from the provider, or a link. Only a `GET` loads a page without `Origin`.
        (vec![cookie, ("sec-fetch-site", "cross-site"), page[0], page[1]], 202),
        (vec![cookie, ("sec-fetch-site", "same-site"), page[0], page[1]], 202),
        (vec![cookie, ("sec-fetch-site", "cross-site"), page[0], page[1], empty], 202),
        // The subrequest says GET: it might be the POST of a form elsewhere.
        (vec![cookie, ("sec-fetch-site", "cross-site"), page[0], page[1], theirs], 403),
        (vec![cookie, ("sec-fetch-site", "cross-site"), page[0], page[1], nobody_s], 403),
        (vec![cookie, ("sec-fetch-site", "cross-site"), page[0], page[1], form], 403),
        (vec![cookie, ("sec-fetch-site", "cross-site"), page[0], page[1], with_body], 403),
        (vec![cookie, ("sec-fetch-site", "cross-site"), page[0], page[1], chunked], 403),
        // Whatever password the browser repeats.
        (vec![cookie, ("sec-fetch-site", "same-site"), page[0], page[1], theirs, old], 403),
        (vec![cookie, ("sec-fetch-site", "same-site"), page[0], page[1], form, old], 403),
        (vec![cookie, ("sec-fetch-site", "same-site"), page[0], page[1], old], 202),
        (
            vec![cookie, ("sec-fetch-site", "cross-site"), page[0], ("sec-fetch-dest", "iframe")],
            403,
        ),
        (vec![cookie, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")], 403),
        (vec![cookie, ("sec-fetch-site", "cross-site"), page[1]], 403),
        (vec![cookie, ("accept", "text/html")], 403),
        (vec![cookie, ("sec-fetch-site", "same-site")], 403),
        (vec![cookie, ("origin", "https://evil.example")], 403),
        (vec![cookie], 403),
        // Nobody is believed who only says what the request was.
        (vec![cookie, ("x-original-method", "GET"), ("x-original-uri", "/")], 403),
    ] {
        assert_eq!(status(&mut world, "/oauth2/auth", &lines), wanted, "{lines:?}");
    }
    // A credential of a header's own decides, whatever cookie comes with it.
    let key = format!("Bearer {API_KEY}");
    let wrong = "Bearer lk_wrong".to_owned();
    for (line, wanted) in [(&key, 202), (&wrong, 401)] {
        let lines = [cookie, ("sec-fetch-site", "cross-site"), ("authorization", line.as_str())];
        assert_eq!(status(&mut world, "/oauth2/auth", &lines), wanted);
    }
    let original = |method, path| [("x-original-method", method), ("x-original-uri", path)];
    let cross = ("sec-fetch-site", "cross-site");
    for (method, path, wanted) in [
        ("GET", "/", 202),
        ("GET", "/api/flows/1?x=1", 202),
        ("POST", "/api/flows/filter", 403),
        ("get", "/", 403),
        ("GET", "/a/../b", 403),
        ("GET", "", 403),
    ] {
        let [method, path] = original(method, path);
        let lines = [cookie, SECRET, cross, page[0], page[1], method, path];
        assert_eq!(status(&mut world, "/oauth2/auth", &lines), wanted, "{method:?} {path:?}");
    }
    // From our own pages the role decides.
    let own = ("sec-fetch-site", "same-origin");
    for (method, path, wanted) in
        [("POST", "/api/flows/filter", 202), ("POST", "/api/block_documents/", 403)]
    {
        let [method, path] = original(method, path);
        let lines = [cookie, SECRET, own, method, path];
        assert_eq!(status(&mut world, "/oauth2/auth", &lines), wanted, "{method:?} {path:?}");
    }
    let wrong = ("x-lictor-auth-request-secret", "wrong");
    let [method, path] = original("GET", "/");
    assert_eq!(status(&mut world, "/oauth2/auth", &[cookie, wrong, own, method, path]), 403);
    assert_eq!(status(&mut world, "/oauth2/auth", &[cookie, SECRET, own]), 403, "no original");
}

/// Traefik and Caddy describe the original request in headers with other names. A client adds none.
#[test]
fn the_original_request_is_described_in_one_way() {
    let mut world = World::new();
    let key = basic(&format!("etl:{API_KEY}"));
    let line = |name: &'static str, value: &'static str| (name, value);
    let nginx = [line("x-original-method", "DELETE"), line("x-original-uri", "/api/flows/1")];
    let traefik = [line("x-forwarded-method", "DELETE"), line("x-forwarded-uri", "/api/flows/1")];
    let read = [line("x-forwarded-method", "GET"), line("x-forwarded-uri", "/api/flows/1")];
    for (lines, wanted) in [
        (vec![nginx[0], nginx[1]], 403),
        (vec![traefik[0], traefik[1]], 403),
        (vec![read[0], read[1]], 202),
        // A client behind nginx, or behind Traefik, that adds the other two.
        (vec![nginx[0], nginx[1], read[0], read[1]], 403),
        (vec![read[0], read[1], nginx[1]], 403),
        (vec![read[0], nginx[1]], 403),
        (vec![read[0], read[1], read[1]], 403),
        (vec![read[0]], 403),
    ] {
        let lines = [&[("authorization", key.as_str()), SECRET], &lines[..]].concat();
        assert_eq!(status(&mut world, "/oauth2/auth", &lines), wanted, "{lines:?}");
    }
}

/// nginx without `proxy_set_header Host` sends the name of its upstream.
#[test]
fn another_proxy_has_a_name_of_its_own_for_the_endpoints() {
    let mut settings = configuration();
    settings["endpoints"] = serde_json::json!({ "hosts": ["127.0.0.1:4180"] });
    let mut world = World::with(&settings);
    let browser = world.log_in();
    let cookie = browser.cookie_header();
    let page = [
        ("cookie", cookie.as_str()),
        ("sec-fetch-site", "none"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    let ask = |world: &mut World, host: &str, path: &str| {
        world.request(&request_to(host, "GET", path, &page)).1.status()
    };
    assert_eq!(ask(&mut world, "127.0.0.1:4180", "/oauth2/auth"), 202);
    assert_eq!(ask(&mut world, "127.0.0.1:4180", "/oauth2/start?rd=/runs"), 302);
    assert_eq!(ask(&mut world, "127.0.0.1:4180", "/oauth2/userinfo"), 200);
    assert_eq!(ask(&mut world, "127.0.0.1:4181", "/oauth2/auth"), 403);
    assert_eq!(ask(&mut world, "127.0.0.1:4180", "/runs"), 421, "only the endpoints");
    assert_eq!(ask(&mut world, "127.0.0.1:4180", "/api/flows/1"), 421);
    assert_eq!(ask(&mut world, "127.0.0.1:4180", "/oauth2x/auth"), 421);
}

#[test]
fn faults_of_the_provider_are_verdicts_too() {
    let mut world = World::starting(&configuration());
    world.idp.mood = Mood::Away;
    world.work();
    let claims = world.idp.machine_claims(world.now);
    let token = format!("Bearer {}", world.idp.sign(&claims));
    assert_eq!(status(&mut world, "/oauth2/auth", &[("authorization", &token)]), 401);
    let several = [("authorization", "Bearer a.b.c"), ("x-api-key", API_KEY)];
    assert_eq!(status(&mut world, "/oauth2/auth", &several), 401);
    let long = "x".repeat(40_000);
    assert_eq!(status(&mut world, "/oauth2/auth", &[("cookie", &long)]), 401);
    let elsewhere = request_to("evil.example", "GET", "/oauth2/auth", &[("x-api-key", API_KEY)]);
    assert_eq!(world.request(&elsewhere).1.reply().status, 403);
    let upgrade = [("upgrade", "websocket"), ("connection", "upgrade"), ("x-api-key", API_KEY)];
    assert_eq!(status(&mut world, "/oauth2/auth", &upgrade), 202);
}

#[test]
fn the_verdict_of_a_new_key_waits_for_it() {
    let mut world = World::new();
    world.idp.rotate("k2");
    let token = world.bearer();
    assert_eq!(status(&mut world, "/oauth2/auth", &[("authorization", &token)]), 202);
}

/// The secret of the proxy in front is nobody else's: not even Prefect's.
#[test]
fn the_proxy_s_secret_never_reaches_prefect() {
    let mut world = World::new();
    let key = basic(&format!("etl:{API_KEY}"));
    let headers = request("GET", "/api/flows/1", &[("authorization", &key), SECRET]);
    let sent = world.request(&headers).1.forwarded();
    assert_eq!(crate::testing::header(&sent, SECRET.0), None);
}

/// A proxy that adds its secret to what the client sent would have switched the operation off.
#[test]
fn a_secret_that_stands_twice_is_no_secret() {
    let mut world = World::new();
    let key = basic(&format!("etl:{API_KEY}"));
    let original = [("x-original-method", "DELETE"), ("x-original-uri", "/api/flows/1")];
    let once = [("authorization", key.as_str()), SECRET, original[0], original[1]];
    assert_eq!(status(&mut world, "/oauth2/auth", &once), 403);
    for second in ["x", AUTH_REQUEST_SECRET, ""] {
        let twice = [&once[..], &[(SECRET.0, second)]].concat();
        assert_eq!(status(&mut world, "/oauth2/auth", &twice), 403, "{second:?}");
    }
    let empty = [("authorization", key.as_str()), (SECRET.0, ""), original[0], original[1]];
    assert_eq!(status(&mut world, "/oauth2/auth", &empty), 403);
}

/// The connection is the other proxy's.
#[test]
fn the_proxy_s_certificate_proves_nobody() {
    let mut settings = configuration();
    settings["machines"]["certificates"] =
        serde_json::json!([{"name": "nginx", "role": "admin", "dns": "nginx.example.com"}]);
    let mut world = World::with(&settings);
    world.peer.certificate = Some(crate::wire::peer::Certificate {
        dns: Some("nginx.example.com".to_owned()),
        ..Default::default()
    });
    assert_eq!(world.request(&request("GET", "/api/flows/1", &[])).1.status(), 200);
    assert_eq!(status(&mut world, "/oauth2/auth", &[]), 401);
    let original = [SECRET, ("x-original-method", "DELETE"), ("x-original-uri", "/api/flows/1")];
    assert_eq!(status(&mut world, "/oauth2/auth", &original), 401);
}

/// The upgrade of the original request may be hidden from us.
#[test]
fn a_session_opens_no_socket_behind_another_proxy_either() {
    let mut world = World::new();
    let browser = world.log_in();
    let cookie = browser.cookie_header();
    let own = ("sec-fetch-site", "same-origin");
    for (path, wanted) in [("/api/events/in", 401), ("/api/logs/out", 401), ("/api/flows/1", 202)] {
        let original = [("x-original-method", "GET"), ("x-original-uri", path)];
        let lines = [("cookie", cookie.as_str()), SECRET, own, original[0], original[1]];
        assert_eq!(status(&mut world, "/oauth2/auth", &lines), wanted, "{path}");
    }
}

/// Whose address it is only a proxy may say that shows the secret: guesses are counted by it.
#[test]
fn the_address_of_whoever_guesses_is_believed_with_the_secret_alone() {
    for (vouched, wanted) in [(true, 202), (false, 401)] {
        let mut world = World::new();
        let ask = |world: &mut World, pair: &str, address: &str| {
            let line = basic(pair);
            let mut lines = vec![("authorization", line.as_str()), ("x-real-ip", address)];
            if vouched {
                lines.extend([
                    SECRET,
                    ("x-original-method", "GET"),
                    ("x-original-uri", "/api/flows/1"),
                ]);
            }
            status(world, "/oauth2/auth", &lines)
        };
        for number in 0..100 {
            ask(&mut world, &format!("guess-{number}:x"), "192.0.2.66");
        }
        let good = ask(&mut world, "etl-worker:planted-secret-of-etl", "198.51.100.7");
        assert_eq!(good, wanted, "vouched for: {vouched}");
    }
}

/// nginx hands on the first `Set-Cookie` alone.
#[test]
fn a_verdict_never_needs_two_cookies() {
    let mut world = World::new();
    world.idp.refresh_token_length = 4000;
    let mut browser = world.log_in();
    assert!(browser.cookies.len() >= 2, "{}", browser.cookies.len());
    world.pass(301);
    world.work();
    let reply = world.request(&browser.headers("GET", "/oauth2/auth", &SCRIPT)).1.reply();
    let lines: Vec<_> = reply
        .headers()
        .iter()
        .filter(|(n, _)| *n == "set-cookie")
        .map(|(_, v)| v.clone())
        .collect();
    // nginx passes on the first
    if let Some(first) = lines.first() {
        browser.keep_line(first);
    }
    let next = world.request(&browser.asks()).1.status();
    assert!(lines.len() <= 1 && next == 200);
}
