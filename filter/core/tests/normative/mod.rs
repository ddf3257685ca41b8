//! What the specifications demand, a test a row: ID tokens (IDT), JWTs (JWT), access tokens (AT),
//! bearer errors (BE), Keycloak's own ways (KC). Rows that other suites show better stand there:
//! `issuers`, `workers`, `conformance`.

mod bearer_errors;
mod id_tokens;
mod jwts;
mod kinds;

use crate::answer::reply::Reply;
use crate::testing::browser::Browser;
use crate::testing::{World, request};
use serde_json::{Value, json};

/// A login whose ID token is what `make` makes of the usual claims; the status of its end.
fn login(make: impl FnOnce(&World, Value) -> String) -> u16 {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let callback = browser.start_login(&mut world, "/");
    let mut claims = world.idp.person_claims(world.now);
    claims["nonce"] = json!(world.idp.nonce);
    world.idp.instead_of_id = Some(make(&world, claims));
    let status = browser.load(&mut world, &callback).reply().status;
    assert_eq!(browser.session().is_some(), status == 302, "a session without a login");
    status
}

/// A login whose ID token differs from the usual one in these claims; `null` is a missing one.
fn login_with(patch: Value) -> u16 {
    login(|world, mut claims| {
        crate::testing::idp::merge(&mut claims, &patch);
        world.idp.sign(&claims)
    })
}

/// A request with an access token.
fn bearer(world: &mut World, token: &str) -> crate::testing::Outcome {
    let line = format!("Bearer {token}");
    world.request(&request("GET", "/api/flows/1", &[("authorization", &line)])).1
}

/// The refusal of an access token.
#[track_caller]
fn refused(world: &mut World, token: &str, why: &str) -> Reply {
    let reply = bearer(world, token).reply();
    assert_eq!(reply.status, 401, "{why}");
    reply
}

/// An access token with these claims changed.
fn access(world: &World, patch: Value) -> String {
    let mut claims = world.idp.machine_claims(world.now);
    crate::testing::idp::merge(&mut claims, &patch);
    world.idp.sign(&claims)
}
