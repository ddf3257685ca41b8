//! API keys and access tokens, in every place where a client may show them.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::testing::browser::SCRIPT;
use crate::testing::idp::merge;
use crate::testing::{
    API_KEY, AUTH_STRING, World, basic, code, header, reply_header, request, request_to,
};
use serde_json::json;

#[test]
fn machines_are_proved_by_key_and_by_token() {
    let mut world = World::new();
    let token = world.idp.sign(&world.idp.machine_claims(world.now));
    let (pair, bearer_key) = (basic(&format!("etl:{API_KEY}")), format!("Bearer {API_KEY}"));
    let (bearer, as_password) = (format!("Bearer {token}"), basic(&format!("x:{token}")));
    let (wrapped, wrapped_key) = (
        basic(&format!("Bearer {token}")),
        basic(&format!(
            "Basic {}",
            crate::foundation::crypto::to_base64(format!("etl:{API_KEY}").as_bytes())
        )),
    );
    for (name, value, principal) in [
        ("authorization", pair.as_str(), "key:etl"),
        ("authorization", &bearer_key, "key:etl"),
        ("x-api-key", API_KEY, "key:etl"),
        ("authorization", &bearer, "client:etl-worker"),
        ("authorization", &as_password, "client:etl-worker"),
        ("authorization", &wrapped, "client:etl-worker"),
        ("authorization", &wrapped_key, "key:etl"),
    ] {
        let headers = request_to(
            "api.prefect.example.com",
            "POST",
            "/api/flow_runs/filter",
            &[(name, value)],
        );
        let seen = world.request(&headers).1.forwarded();
        assert_eq!(header(&seen, "authorization"), Some(basic(AUTH_STRING).as_str()));
        assert_eq!(header(&seen, "x-auth-request-user"), Some(principal));
        assert_eq!(header(&seen, "x-api-key"), None);
        assert_eq!(header(&seen, ":authority"), Some("api.prefect.example.com"));
    }
}

#[test]
fn bearer_tokens_that_do_not_fit_are_refused() {
    let mut world = World::new();
    for (patch, why) in [
        (json!({"typ": "ID"}), "JWT-11"),
        (json!({"typ": "Refresh"}), "JWT-11"),
        (json!({"typ": "Offline"}), "JWT-11"),
        (json!({"typ": "Logout"}), "JWT-11"),
        (json!({"typ": "DPoP"}), "JWT-11"),
        (json!({"typ": null}), "JWT-11"),
        (json!({"aud": "account"}), "JWT-8"),
        (json!({"aud": null}), "KC-3"),
        (json!({"iss": "https://other"}), "AT-3"),
        (json!({"exp": 1_799_999_940}), "AT-3"),
        (json!({"exp": null}), "AT-3"),
        (json!({"iat": null}), "AT-2"),
        (json!({"nbf": 1_800_000_061}), "AT-3"),
        (json!({"cnf": {"jkt": "x"}}), "AT-4"),
        (json!({"sub": null}), "AT-2"),
    ] {
        let mut claims = world.idp.machine_claims(world.now);
        merge(&mut claims, &patch);
        let bearer = format!("Bearer {}", world.idp.sign(&claims));
        let reply =
            world.request(&request("GET", "/api/flows/1", &[("authorization", &bearer)])).1.reply();
        assert_eq!((reply.status, code(&reply).as_str()), (401, "invalid_token"), "{why} {patch}");
        assert!(reply_header(&reply, "www-authenticate").unwrap().starts_with("Bearer realm="));
    }
    assert_eq!(world.idp.called("/realms/prefect/certs"), 1, "none of them causes a fetch of keys");
}

/// Only a whole Basic credential is a password that Prefect's UI left behind.
#[test]
fn other_malformed_credentials_never_fall_back_to_the_cookie() {
    let mut world = World::new();
    let browser = world.log_in();
    for (line, wanted) in [
        (("authorization", "Basic YWRtaW46cGFzcw=="), 200),
        (("authorization", "Basic !"), 200),
        (("authorization", "Bearer a b"), 401),
        (("authorization", "Bearer "), 401),
        (("authorization", "Digest x"), 401),
        (("x-api-key", " "), 401),
    ] {
        let lines = [SCRIPT.as_slice(), &[line]].concat();
        let outcome = world.request(&browser.headers("GET", "/api/flows/1", &lines)).1;
        assert_eq!(outcome.status(), wanted, "{line:?}");
    }
}

/// A person may choose a name, so nothing but a token without any trace of a login is a client's.
#[test]
fn a_token_is_a_client_s_only_if_nothing_says_that_a_person_has_logged_in() {
    let mut world = World::new();
    let claims = world.idp.machine_claims(world.now);
    let user = format!("user:{}", claims["sub"].as_str().unwrap());
    for (patch, principal) in [
        (json!({}), "client:etl-worker"),
        (json!({"preferred_username": "alice"}), &user),
        (json!({"preferred_username": "service-account-other"}), &user),
        (json!({"preferred_username": null}), &user),
        (json!({"azp": "other"}), &user),
        (json!({"sid": "s"}), &user),
        (json!({"auth_time": 1}), &user),
    ] {
        let mut claims = claims.clone();
        merge(&mut claims, &patch);
        let bearer = format!("Bearer {}", world.idp.sign(&claims));
        let headers = request("GET", "/api/flows/1", &[("authorization", &bearer)]);
        let sent = world.request(&headers).1.forwarded();
        assert_eq!(header(&sent, "x-auth-request-user"), Some(principal), "{patch}");
    }
}
