//! Roles from the ID tokens that other providers' documentation shows: their claims as they are,
//! but for issuer, audience, times and nonce, which are the world's.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::testing::browser::Browser;
use crate::testing::idp::merge;
use crate::testing::{World, configuration, header};
use serde_json::{Value, json};

/// Logs in with these claims and settings.
fn logged_in(roles: &Value, claims: &Value) -> (Browser, World) {
    let mut settings = configuration();
    settings["roles"] = roles.clone();
    let mut world = World::with(&settings);
    // Nothing of Keycloak's is in them.
    let mut patch =
        json!({"azp": null, "typ": null, "sid": null, "realm_access": null, "auth_time": null});
    patch.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    let mut browser = Browser::default();
    let callback = browser.start_login(&mut world, "/");
    let mut exact = world.idp.person_claims(world.now);
    exact["nonce"] = json!(world.idp.nonce);
    merge(&mut exact, &patch);
    world.idp.instead_of_id = Some(world.idp.sign(&exact));
    assert_eq!(browser.load(&mut world, &callback).reply().status, 302, "{claims}");
    world.work();
    (browser, world)
}

/// The role and the name that Prefect is told after a login with these claims and settings.
fn told(roles: &Value, claims: &Value) -> (String, String) {
    let (browser, mut world) = logged_in(roles, claims);
    let headers = browser.asks();
    match world.request(&headers).1 {
        crate::testing::Outcome::Forwarded(sent) => {
            let value = |name| header(&sent, name).unwrap().to_owned();
            (value("x-auth-request-groups"), value("x-auth-request-preferred-username"))
        }
        crate::testing::Outcome::Reply(reply) => (crate::testing::code(&reply), String::new()),
        crate::testing::Outcome::Waiting | crate::testing::Outcome::Reading(_) => {
            panic!("it waits")
        }
    }
}

fn is(roles: Value, claims: Value, role: &str, name: &str) {
    assert_eq!(told(&roles, &claims), (role.to_owned(), name.to_owned()), "{claims}");
}

/// A groups claim, as Okta's guide adds it.
#[test]
fn okta() {
    is(
        json!({"sources": ["groups"], "operator": ["Data Engineers"]}),
        json!({
            "sub": "00uid4BxXw6I6TV4m0g3", "name": "John Doe", "email": "john.doe@example.com", "ver": 1,
            "jti": "ID.YIsxokxnM9wBxm1nQi1pYXAtUd8cQdLhFq2m3SlmnQs", "amr": ["pwd"],
            "idp": "00ok1u7AsAkrwdZL3z0g3", "preferred_username": "john.doe@example.com",
            "groups": ["Everyone", "Data Engineers"]
        }),
        "operator",
        "john.doe@example.com",
    );
}

/// App roles by name, and groups by their object id.
#[test]
fn entra_id() {
    let token = json!({
        "ver": "2.0", "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", "name": "Abe Lincoln",
        "preferred_username": "AbeLi@example.com", "oid": "00000000-0000-0000-66f3-3332eca7ea81",
        "tid": "9122040d-6c67-4c5b-b112-36a304b66dad", "aio": "Df2UVXL1ix!lMCWMSOJBcFatzcGfvFGhjKv8q5g0x732dR5MB5BisvGQO7YWByjd8iQDLq!eGbIDakyp5mnOrcdqHeYSnltepQmRp6AIZ8jY",
        "roles": ["Prefect.Operator"], "groups": ["0f2b1d3e-5a66-4a0e-9e3f-7b2f0c6b1a11"]
    });
    is(
        json!({"sources": ["roles"], "operator": ["Prefect.Operator"]}),
        token.clone(),
        "operator",
        "AbeLi@example.com",
    );
    is(
        json!({"sources": ["groups"], "admin": ["0f2b1d3e-5a66-4a0e-9e3f-7b2f0c6b1a11"]}),
        token.clone(),
        "admin",
        "AbeLi@example.com",
    );
    // Too many groups to list: Entra names an address instead, and that grants nothing.
    let mut overage = token;
    overage["roles"] = Value::Null;
    overage["groups"] = Value::Null;
    overage["_claim_names"] = json!({"groups": "src1"});
    overage["_claim_sources"] = json!({"src1": {"endpoint": "https://graph.example.com/groups"}});
    is(json!({"sources": ["groups"], "admin": ["groups", "src1"]}), overage.clone(), "no_role", "");
    // The log says so, unless roles do not come from groups.
    for (sources, is_said) in [(json!(["groups"]), true), (json!(["roles"]), false)] {
        let log = logged_in(&json!({"sources": sources}), &overage).1.log.join("\n");
        assert_eq!(log.contains("too many entries for groups"), is_said, "{log}");
    }
}

/// Google says nothing of groups; the organisation's domain can be a role.
#[test]
fn google() {
    let token = json!({
        "at_hash": null, "email_verified": true, "sub": "10769150350006150715113082367",
        "preferred_username": null, "email": "jsmith@example.com", "hd": "example.com", "azp": "prefect"
    });
    let roles = json!({"sources": ["hd"], "viewer": ["example.com"]});
    is(roles.clone(), token.clone(), "viewer", "jsmith@example.com");
    let mut private = token;
    private["hd"] = Value::Null;
    is(roles, private, "no_role", "");
}

#[test]
fn cognito() {
    is(
        json!({"sources": ["cognito:groups"], "worker": ["my-test-group"]}),
        json!({
            "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "email_verified": true,
            "cognito:groups": ["test-group-a", "my-test-group"],
            "cognito:preferred_role": "arn:aws:iam::111122223333:role/my-test-role",
            "cognito:username": "my-test-user", "preferred_username": "my-test-user",
            "cognito:roles": ["arn:aws:iam::111122223333:role/my-test-role"],
            "origin_jti": "5b9f50a3-05da-454a-8b99-b79c2349de77", "token_use": "id",
            "email": "my-test-user@example.com"
        }),
        "worker",
        "my-test-user",
    );
}

/// Auth0 wants custom claims to have an address for a name.
#[test]
fn auth0() {
    is(
        json!({"sources": ["https://prefect.example.com/roles"], "viewer": ["reader"]}),
        json!({
            "sub": "auth0|507f1f77bcf86cd799439020", "name": "Jane Doe", "nickname": "jane",
            "preferred_username": null, "email": "janedoe@example.com", "email_verified": true,
            "https://prefect.example.com/roles": ["reader"]
        }),
        "viewer",
        "janedoe@example.com",
    );
}

/// Keycloak's three ways, as its mappers write them.
#[test]
fn keycloak() {
    for claims in [
        json!({"realm_access": {"roles": ["offline_access", "prefect-operator"]}}),
        json!({"resource_access": {"prefect": {"roles": ["prefect-operator"]}}}),
        json!({"groups": ["prefect-operator", "/staff"]}),
    ] {
        let mut claims = claims;
        claims["preferred_username"] = "bob".into();
        is(json!({}), claims, "operator", "bob");
    }
    is(
        json!({}),
        json!({"resource_access": {"other": {"roles": ["prefect-admin"]}}}),
        "no_role",
        "",
    );
}

#[test]
fn claims_of_another_kind_grant_nothing() {
    for claims in [
        json!({"groups": {"prefect-admin": true}}),
        json!({"groups": [["prefect-admin"]]}),
        json!({"groups": [1, null, true]}),
        json!({"groups": "prefect-admin,prefect-viewer"}),
        json!({"realm_access": ["prefect-admin"]}),
        json!({"realm_access": {"roles": {"0": "prefect-admin"}}}),
    ] {
        is(json!({}), claims, "no_role", "");
    }
}
