//! Who may come: `users.allow`, at the login and for what a login leaves behind.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::Config;
use crate::testing::browser::Browser;
use crate::testing::{World, auth_frame, code, configuration, environment, header, request};
use crate::tests::credentials::personal_tokens::made;
use crate::tests::sockets::rewritten;
use serde_json::{Value, json};

fn settings(users: &Value) -> Value {
    let mut settings = configuration();
    settings["users"] = users.clone();
    settings
}

/// The end of a login with these claims: the code of its page, or `logged_in`.
fn login(users: &Value, claims: &Value) -> (String, World) {
    let mut world = World::with(&settings(users));
    world.idp.claims = claims.clone();
    let mut browser = Browser::default();
    let callback = browser.start_login(&mut world, "/runs");
    let reply = browser.load(&mut world, &callback).reply();
    let code = reply.code.to_owned();
    let wanted = if code == "logged_in" { 302 } else { 403 };
    assert_eq!(reply.status, wanted, "{code}");
    (code, world)
}

#[test]
fn only_listed_people_log_in() {
    let verified = json!({"email": "alice@example.com", "email_verified": true});
    let unsaid = json!({"email": "alice@example.com", "email_verified": null});
    let denied = json!({"email": "alice@example.com", "email_verified": false});
    let domains = json!({"allow": {"domains": ["example.com"]}});
    let lenient = json!({"allow": {"domains": ["example.com"]}, "unverified_email": true});
    for (users, claims, wanted) in [
        (json!({}), &verified, "logged_in"),
        (json!({"allow": {}}), &verified, "not_allowed"),
        (json!({"allow": {"subjects": ["alice-1"]}}), &denied, "logged_in"),
        (json!({"allow": {"subjects": ["alice-10"]}}), &verified, "not_allowed"),
        (json!({"allow": {"emails": ["alice@example.com"]}}), &verified, "logged_in"),
        (json!({"allow": {"emails": ["alice@example.com"]}}), &denied, "not_allowed"),
        (json!({"allow": {"emails": ["bob@example.com"]}}), &verified, "not_allowed"),
        (domains.clone(), &verified, "logged_in"),
        (domains.clone(), &unsaid, "not_allowed"),
        (domains, &denied, "not_allowed"),
        (lenient.clone(), &unsaid, "logged_in"),
        (lenient, &denied, "not_allowed"),
    ] {
        let (seen, world) = login(&users, claims);
        assert_eq!(seen, wanted, "{users} {claims}");
        let line = world.log.iter().find(|line| line.contains("reason=not_allowed principal"));
        assert_eq!(line.is_some(), wanted == "not_allowed", "{:?}", world.log);
        assert!(line.is_none_or(|line| line.contains("user:alice-1 with ")), "{line:?}");
    }
}

/// The list is newer than the session, the personal token and the access token.
#[test]
fn a_shorter_list_ends_what_it_no_longer_allows() {
    let allow = |domain: &str| json!({"allow": {"domains": [domain]}});
    let mut before = World::with(&settings(&allow("example.com")));
    before.idp.claims = json!({"email": "alice@example.com", "email_verified": true});
    let browser = before.log_in();
    let pair = made(&mut before);
    let person = |world: &World| {
        let mut claims = world.idp.machine_claims(world.now);
        claims["preferred_username"] = json!("alice");
        claims["sub"] = json!("alice-1");
        claims["email"] = json!("alice@example.com");
        claims["email_verified"] = json!(true);
        format!("Bearer {}", world.idp.sign(&claims))
    };
    for (domain, wanted) in [
        ("example.com", ["200", "200", "200"]),
        ("example.org", ["session_ended", "personal_token", "not_allowed"]),
    ] {
        let mut world = World::with(&settings(&allow(domain)));
        world.now = before.now;
        let basic = crate::testing::basic(&pair);
        let bearer = person(&world);
        let by = |path: &str, line: &str| request("GET", path, &[("authorization", line)]);
        let asked = [browser.asks(), by("/api/flows/1", &basic), by("/api/flows/1", &bearer)];
        // The endpoint for other proxies, and the first frames of sockets.
        for (line, token) in [(&basic, pair.as_str()), (&bearer, &bearer["Bearer ".len()..])] {
            let status = world.request(&by("/oauth2/auth", line)).1.status();
            assert_eq!(status == 202, domain == "example.com", "{domain}: {status}");
            let mut gate = world.unproved_socket();
            let step = gate.on_request_data(&auth_frame(token), false, &mut world.cx());
            // A refusal is a close frame, whose content is a number.
            assert_eq!(rewritten(step).is_object(), domain == "example.com", "{domain}");
        }
        let seen = asked.map(|headers| match world.request(&headers).1 {
            crate::testing::Outcome::Forwarded(sent) => {
                assert_eq!(header(&sent, "x-auth-request-user"), Some("user:alice-1"));
                "200".to_owned()
            }
            other => code(&other.reply()),
        });
        assert_eq!(seen, wanted, "{domain}");
        let said = world.log.iter().any(|line| line.contains("seen=\"user:alice-1 with alice@"));
        assert_eq!(said, domain == "example.org", "{:?}", world.log);
    }
}

/// The subjects of another issuer are other people, so only their addresses are compared. A
/// worker's client credentials are proved by the provider, whatever their token says of people.
#[test]
fn people_of_further_issuers_are_compared_by_address() {
    const PARTNER: &str = "https://sso.example.com/realms/partner";
    let mut settings =
        settings(&json!({"allow": {"subjects": ["alice-1"], "domains": ["example.com"]}}));
    settings["machines"]["issuers"] = json!([{
        "issuer": PARTNER, "jwks_uri": format!("{PARTNER}/certs"), "cluster": "partner",
        "audiences": ["prefect"], "profile": "keycloak"
    }]);
    let mut world = World::with(&settings);
    for (patch, wanted) in [
        (json!({"sub": "alice-1"}), "not_allowed"),
        (
            json!({"sub": "bob-1", "email": "bob@example.org", "email_verified": true}),
            "not_allowed",
        ),
        (
            json!({"sub": "bob-1", "email": "bob@example.com", "email_verified": false}),
            "not_allowed",
        ),
        (json!({"sub": "bob-1", "email": "bob@example.com", "email_verified": true}), "user"),
        (json!({"preferred_username": "service-account-etl-worker"}), "client"),
    ] {
        let mut claims = world.idp.machine_claims(world.now);
        claims["iss"] = PARTNER.into();
        claims["preferred_username"] = json!("bob");
        crate::testing::idp::merge(&mut claims, &patch);
        let token = crate::testing::idp::sign_as("partner", "JWT", &claims);
        let seen = match world.show(&token) {
            crate::testing::Outcome::Forwarded(sent) => {
                let who = header(&sent, "x-auth-request-user").unwrap();
                who.split(':').next().unwrap().to_owned()
            }
            other => code(&other.reply()),
        };
        assert_eq!(seen, wanted, "{patch}");
    }
    world.idp.client_claims = json!({"preferred_username": null});
    assert_eq!(world.status_of(crate::testing::machines::PAIR), 200);
}

/// The provider has moved the person to another address.
#[test]
fn a_recheck_reads_the_address_again() {
    for (email, verified, wanted) in [
        (json!("alice@example.com"), json!(true), "200"),
        (json!("alice@example.org"), json!(true), "session_ended"),
        (json!("alice@example.com"), json!(false), "session_ended"),
        (Value::Null, json!(false), "session_ended"),
        // Without the claims nothing is said about it.
        (Value::Null, Value::Null, "200"),
    ] {
        let mut world = World::with(&settings(&json!({"allow": {"domains": ["example.com"]}})));
        world.idp.claims = json!({"email": "alice@example.com", "email_verified": true});
        let browser = world.log_in();
        world.idp.claims = json!({"email": email, "email_verified": verified});
        world.pass(301);
        let headers = browser.asks();
        let (gate, outcome) = world.begin(&headers);
        assert!(matches!(outcome, crate::testing::Outcome::Waiting), "{email}");
        let (_, outcome) = world.finish_waiting(vec![(gate, headers)]).remove(0);
        let seen = match outcome {
            crate::testing::Outcome::Forwarded(_) => "200".to_owned(),
            other => code(&other.reply()),
        };
        assert_eq!(seen, wanted, "{email} {verified}");
    }
}

#[test]
fn lists_with_patterns_are_refused() {
    for (users, path) in [
        (json!({"allow": {"domains": ["*.example.com"]}}), "$.users.allow.domains"),
        (json!({"allow": {"domains": ["@example.com"]}}), "$.users.allow.domains"),
        (json!({"allow": {"domains": ["a b"]}}), "$.users.allow.domains"),
        (json!({"allow": {"emails": ["example.com"]}}), "$.users.allow.emails"),
        (json!({"allow": {"emails": ["a@b@c"]}}), "$.users.allow.emails"),
        (json!({"allow": {"groups": ["x"]}}), "$.users.allow.groups"),
        (json!({"allow": ["a@example.com"]}), "$.users.allow"),
        (json!({"allow": {"subjects": "x"}}), "$.users.allow.subjects"),
        (json!({"unverified_email": "yes"}), "$.users.unverified_email"),
    ] {
        let text = settings(&users).to_string();
        let problems = Config::compile(text.as_bytes(), &environment).unwrap_err().to_string();
        assert!(problems.contains(&format!("{path}: ")), "{users}: {problems}");
    }
}
