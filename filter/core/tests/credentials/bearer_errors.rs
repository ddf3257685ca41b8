//! RFC 6750, RFC 7617, RFC 9068 and Keycloak, as a client sees them (rows BE, AT and KC).

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::answer::reply::Reply;
use crate::testing::{
    API_KEY, AUTH_STRING, World, basic, code, configuration, reply_header, request,
};
use crate::tests::credentials::{access, refused};
use serde_json::json;

fn ask(world: &mut World, lines: &[(&str, &str)]) -> Reply {
    world.request(&request("GET", "/api/flows/1", lines)).1.reply()
}

fn challenges(reply: &Reply) -> Vec<&str> {
    let all = reply.headers().iter().filter(|(name, _)| *name == "www-authenticate");
    all.map(|(_, value)| value.as_str()).collect()
}

#[test]
fn be_1_a_401_says_what_is_wanted() {
    let mut world = World::new();
    for lines in [
        vec![],
        vec![("authorization", "Bearer e30.e30.AA")],
        vec![("authorization", "Basic eDp5")],
        vec![("authorization", "Digest x")],
        vec![("x-api-key", "lk_wrong")],
    ] {
        let reply = ask(&mut world, &lines);
        assert_eq!(reply.status, 401);
        let all = challenges(&reply);
        assert!(all[0].starts_with("Bearer realm=\"prefect\""), "{all:?}");
        assert_eq!(all[1], "Basic realm=\"prefect\", charset=\"UTF-8\"");
    }
    // A browser's password box would ask for a password that nobody has.
    let script = ask(&mut world, &[("sec-fetch-mode", "cors"), ("sec-fetch-site", "same-origin")]);
    assert!(challenges(&script).iter().all(|challenge| challenge.starts_with("Bearer")));
}

#[test]
fn be_2_without_a_credential_there_is_no_error() {
    let mut world = World::new();
    let reply = ask(&mut world, &[]);
    assert!(!challenges(&reply)[0].contains("error"));
}

#[test]
fn be_3_errors_have_their_status() {
    let mut world = World::new();
    let reply = refused(&mut world, "e30.e30.AA", "no token");
    assert!(challenges(&reply)[0].contains("error=\"invalid_token\""));
    let token = access(&world, json!({"realm_access": {"roles": ["prefect-viewer"]}}));
    let line = format!("Bearer {token}");
    let headers = request("DELETE", "/api/flows/1", &[("authorization", &line)]);
    let reply = world.request(&headers).1.reply();
    assert_eq!((reply.status, code(&reply).as_str()), (403, "role_missing"));
    assert!(challenges(&reply)[0].contains("error=\"insufficient_scope\""));
    let several = [("authorization", "Bearer a.b.c"), ("x-api-key", "k")];
    assert_eq!(ask(&mut world, &several).status, 400);
}

#[test]
fn be_4_a_token_is_read_in_the_header_alone() {
    let mut world = World::new();
    let token = access(&world, json!({}));
    let path = format!("/api/flows/1?access_token={token}");
    assert_eq!(world.request(&request("GET", &path, &[])).1.reply().status, 401);
    let line = format!("Bearer {token}");
    let twice = [("authorization", line.as_str()), ("authorization", line.as_str())];
    assert_eq!(ask(&mut world, &twice).status, 400);
}

#[test]
fn be_5_the_scheme_has_no_case_and_the_token_has_a_syntax() {
    let mut world = World::new();
    let token = access(&world, json!({}));
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        let line = format!("{scheme} {token}");
        let headers = request("GET", "/api/flows/1", &[("authorization", &line)]);
        assert_eq!(world.request(&headers).1.status(), 200, "{scheme}");
    }
    for bad in ["a b", "a\"b", "a,b", "ä", "", "=="] {
        let line = format!("Bearer {bad}");
        let headers = request("GET", "/api/flows/1", &[("authorization", &line)]);
        assert!(matches!(world.request(&headers).1.status(), 400 | 401), "{bad}");
    }
}

#[test]
fn be_6_basic_is_split_at_its_first_colon_and_tells_nothing() {
    let mut world = World::new();
    let answers: Vec<_> = ["etl:lk_wrong", "nobody:lk_wrong", "etl:lk_", ":lk_a:b"]
        .iter()
        .map(|pair| {
            let reply = ask(&mut world, &[("authorization", &basic(pair))]);
            (reply.status, reply.body)
        })
        .collect();
    assert!(answers.iter().all(|answer| *answer == answers[0] && answer.0 == 401));
    let key = basic(&format!("a name:{API_KEY}"));
    let headers = request("GET", "/api/flows/1", &[("authorization", &key)]);
    assert_eq!(world.request(&headers).1.status(), 200, "the name is for people");
}

#[test]
fn be_7_nothing_of_the_request_is_in_an_error() {
    let mut world = World::new();
    for planted in ["planted\"quote", "planted\\", "planted%0d%0a", "<planted>"] {
        let line = format!("Bearer {planted}");
        let reply = ask(&mut world, &[("authorization", &line), ("x-request-id", planted)]);
        let said = String::from_utf8(reply.body.clone()).unwrap();
        assert!(!said.contains("planted"), "{said}");
        assert!(reply.headers().iter().all(|(_, value)| !value.contains("planted")));
    }
}

#[test]
fn at_3_issuer_audience_and_time_are_the_token_s_own() {
    let mut world = World::new();
    for patch in [
        json!({"iss": "https://other"}),
        json!({"aud": "other"}),
        json!({"exp": 1_799_999_940}),
        json!({"nbf": 1_800_000_061}),
    ] {
        let token = access(&world, patch.clone());
        let reply = refused(&mut world, &token, &patch.to_string());
        let claim = patch.as_object().unwrap().keys().next().unwrap().clone();
        // The operator sees what was seen and what was wanted; the client, which claim it is.
        assert!(world.log.iter().any(|line| line.contains(&format!("seen=\"token with {claim} "))));
        assert!(String::from_utf8(reply.body).unwrap().contains(&claim), "{patch}");
    }
}

#[test]
fn kc_3_a_token_without_an_audience_is_refused() {
    let mut world = World::new();
    for aud in [json!(null), json!("account")] {
        let token = access(&world, json!({ "aud": aud }));
        refused(&mut world, &token, "Keycloak's default");
    }
}

#[test]
fn kc_4_missing_and_odd_roles_grant_nothing() {
    let mut world = World::new();
    for roles in [
        json!(null),
        json!({}),
        json!({"roles": "prefect-admins"}),
        json!({"roles": [["prefect-admin"]]}),
        json!("prefect-admin"),
    ] {
        let token = access(&world, json!({ "realm_access": roles }));
        let reply = world.show(&token).reply();
        assert_eq!((reply.status, code(&reply).as_str()), (403, "no_role"), "{roles}");
    }
}

/// A mistyped key, or Prefect's own string, is judged here and sent nowhere.
#[test]
fn what_is_not_a_client_s_credential_never_leaves() {
    let mut world = World::new();
    let calls = world.idp.calls.values().sum::<usize>();
    let nested = basic(&basic("etl:x"));
    for pair in [
        "etl:lk_mistyped",
        "etl:lt_mistyped",
        AUTH_STRING,
        "a:eyJ.eyJ.x",
        "lk_misplaced:",
        "lk_misplaced:x",
        "lt_misplaced:x",
        "eyJ.eyJ.x:x",
        "Bearer x:y",
        "Basic x:y",
        &nested,
        ":x",
        "x:",
    ] {
        assert_eq!(ask(&mut world, &[("authorization", &basic(pair))]).status, 401, "{pair}");
    }
    assert_eq!(world.idp.calls.values().sum::<usize>(), calls);
}

/// People are told to write `PREFECT_API_AUTH_STRING="Bearer <token>"`.
#[test]
fn a_header_wrapped_in_basic_is_unwrapped_once() {
    let mut world = World::new();
    let token = access(&world, json!({}));
    for (pair, status) in [
        (format!("Bearer {token}"), 200),
        (format!("Bearer {token}:"), 200),
        (format!(":Bearer {token}"), 200),
        (format!("Bearer {API_KEY}"), 200),
        (basic(&format!("etl:{API_KEY}")), 200),
        (basic(&basic(&format!("etl:{API_KEY}"))), 401),
        ("Bearer e30.e30.AA".to_owned(), 401),
    ] {
        let line = basic(&pair);
        let headers = request("GET", "/api/flows/1", &[("authorization", &line)]);
        assert_eq!(world.request(&headers).1.status(), status, "{pair}");
    }
}

#[test]
fn prefect_s_own_string_counts_only_where_it_is_accepted() {
    let mut settings = configuration();
    settings["machines"]["accept_auth_string"] = true.into();
    let mut world = World::with(&settings);
    let line = basic(AUTH_STRING);
    let headers = request("DELETE", "/api/flows/1", &[("authorization", &line)]);
    assert_eq!(world.request(&headers).1.status(), 200);
    let counted = world.log.iter().any(|line| line.contains("method=auth_string"));
    assert!(counted, "it is counted apart: {:?}", world.log);
    let mut strict = World::new();
    let reply = ask(&mut strict, &[("authorization", &line)]);
    assert_eq!((reply.status, code(&reply).as_str()), (401, "credential_not_accepted"));
    assert!(reply_header(&reply, "retry-after").is_none());
}
