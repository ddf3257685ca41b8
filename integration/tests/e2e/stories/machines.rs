//! The way in for machines.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::people::assert_refusal;
use super::{Story, story};
use crate::client::Request;
use crate::http1::Answer;
use crate::keycloak_admin::{basic, worker_token};
use crate::keycloak_login::logged_in;
use crate::world::{prefect_sees_nothing, world};

const ABOUT: &str = "machines";

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "an access token of client_credentials passes", bearer),
        story(ABOUT, "an API key passes in each of its forms", api_key),
        story(ABOUT, "wrong keys and passwords are refused alike", wrong_keys),
        story(ABOUT, "several credentials are none", several),
        story(ABOUT, "the role worker may not clear the database", worker_role),
        story(ABOUT, "a refused header never falls back to the cookie", no_fallback),
        story(ABOUT, "a password left in the UI's storage does not hide the session", left_over),
        story(ABOUT, "on the machines' name there are no cookies and no logins", machine_host),
        story(ABOUT, "Prefect's own string is not accepted", own_string),
    ]
}

fn version(authorization: &str) -> Request {
    Request::get("/api/admin/version").header("authorization", authorization)
}

fn bearer() {
    let gate = &world().gate;
    let token = worker_token();
    for host in [gate.public_host(), gate.machine_host()] {
        let answer = gate.send(&version(&format!("Bearer {token}")).host(host)).expect(200);
        assert_eq!(answer.text().trim_matches('"'), world().stack.prefect.version);
        assert!(!answer.has("set-cookie") && !answer.has("www-authenticate"));
    }
    gate.send(&version(&basic(&format!("etl-worker:{token}")))).expect(200);
    // People are told to write PREFECT_API_AUTH_STRING="Bearer <token>", which Prefect wraps.
    gate.send(&version(&basic(&format!("Bearer {token}")))).expect(200);
}

fn api_key() {
    let gate = &world().gate;
    let (pair, key) = (&world().stack.machine.auth_string, &world().secrets.api_key);
    gate.send(&version(&basic(pair))).expect(200);
    gate.send(&version(&format!("Bearer {key}"))).expect(200);
    gate.send(&version(&format!("bearer {key}"))).expect(200);
    gate.send(&Request::get("/api/admin/version").header("X-Api-Key", key)).expect(200);
}

#[track_caller]
fn refused(request: &Request, status: u16) -> Answer {
    let answer = prefect_sees_nothing(world().admin, || world().gate.send(request));
    assert_eq!(answer.status, status, "{request:?}: {}", answer.text());
    assert!(!answer.has("set-cookie") && !answer.has("location"));
    answer
}

#[track_caller]
fn unauthorized(request: &Request, code: &str) {
    let answer = refused(request, 401);
    assert_refusal(&answer, code);
    let challenges: Vec<&str> = answer.all("www-authenticate").collect();
    assert!(challenges.iter().any(|c| c.starts_with("Bearer")), "{challenges:?}");
    assert!(challenges.iter().any(|c| c.starts_with("Basic")), "{challenges:?}");
    let script = refused(&request.clone().fetch(), 401);
    assert!(
        script.all("www-authenticate").all(|c| c.starts_with("Bearer")),
        "browsers would pop up a box"
    );
}

fn wrong_keys() {
    let key = &world().secrets.api_key;
    let mut other = key.clone().into_bytes();
    let last = other.len() - 1;
    other[last] = if other[last] == b'A' { b'B' } else { b'A' };
    let other = String::from_utf8(other).unwrap();
    for wrong in [other.as_str(), "lk_", "lk_x", &key[..key.len() - 1], &format!("{key}x")] {
        unauthorized(&version(&basic(&format!("etl:{wrong}"))), "unknown_api_key");
        unauthorized(&version(&format!("Bearer {wrong}")), "unknown_api_key");
        unauthorized(
            &Request::get("/api/admin/version").header("x-api-key", wrong),
            "unknown_api_key",
        );
    }
    for header in [
        "Bearer",
        "Bearer ",
        "Basic",
        "Basic !!!",
        "Digest x",
        "",
        "Bearer a b",
        "Basic bm9jb2xvbg==",
    ] {
        unauthorized(&version(header), "malformed_credential");
    }
    unauthorized(&version(&basic("etl:password")), "client_credentials");
    let spellings = ["{}:", "{}:x", "etl: {}", "etl:\"{}\"", "etl:Bearer {}", "etl:X={}"];
    for misspelt in spellings.map(|spelling| spelling.replace("{}", key)) {
        unauthorized(&version(&basic(&misspelt)), "misspelt_credential");
    }
    for empty in [":x", "x:"] {
        unauthorized(&version(&basic(empty)), "credential_not_accepted");
    }
    unauthorized(&Request::get("/api/admin/version"), "not_authenticated");
}

fn several() {
    let good = basic(&world().stack.machine.auth_string);
    let key = &world().secrets.api_key;
    for request in [
        version(&good).header("authorization", &good),
        version(&good).header("Authorization", "Bearer x"),
        version("Bearer x").header("AUTHORIZATION", &good),
        version(&good).header("x-api-key", key),
        Request::get("/api/admin/version").header("x-api-key", key).header("x-api-key", key),
    ] {
        assert_refusal(&refused(&request, 400), "several_credentials");
    }
}

fn worker_role() {
    let good = basic(&world().stack.machine.auth_string);
    let token = format!("Bearer {}", worker_token());
    for credential in [good, token] {
        let request = Request::post("/api/admin/database/clear", "{\"confirm\":true}")
            .header("authorization", credential);
        let answer = refused(&request, 403);
        assert_refusal(&answer, "role_missing");
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        assert!(challenge.contains("insufficient_scope"), "{challenge}");
    }
}

fn no_fallback() {
    let alice = logged_in("alice");
    let cookie = alice.jar.header().unwrap();
    for header in ["Bearer x", &format!("Bearer {}", "lk_wrong"), "Digest x"] {
        let answer = refused(&version(header).fetch().header("cookie", &cookie), 401);
        assert!(!answer.has("location"));
    }
    // Not from our own page: the exception for left-over passwords does not count.
    refused(&version(&basic("a:b")).header("cookie", &cookie), 401);
}

fn left_over() {
    let alice = logged_in("alice");
    let request = version(&basic("admin:old-password")).fetch();
    let with_session = request.clone().header("cookie", alice.jar.header().unwrap());
    world().gate.send(&with_session).expect(200);
    refused(&request, 401);
}

fn machine_host() {
    let alice = logged_in("alice");
    let gate = &world().gate;
    let host = gate.machine_host();
    let cookie = alice.jar.header().unwrap();
    for path in ["/", "/api/admin/version"] {
        // A page is at the public name, whoever asks.
        let page = Request::get(path).navigation().host(&host);
        for request in [page.clone().header("cookie", &cookie), page] {
            let answer = prefect_sees_nothing(world().admin, || gate.send(&request)).expect(302);
            assert!(!answer.has("set-cookie"));
            assert_eq!(answer.location(), format!("{}{path}", gate.origin()));
        }
        refused(&Request::get(path).fetch().host(&host).header("cookie", &cookie), 401);
    }
    for path in ["/oauth2/start", "/oauth2/callback?code=a&state=b.c", "/oauth2/sign_out"] {
        refused(&Request::get(path).navigation().host(&host), 404);
    }
}

fn own_string() {
    let own = &world().secrets.prefect_auth_string;
    unauthorized(&version(&format!("Basic {}", STANDARD.encode(own))), "credential_not_accepted");
}
