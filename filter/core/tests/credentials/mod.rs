//! The credentials of machines and of programs that people run.

mod api_keys;
mod bearer;
mod bearer_errors;
mod certificates;
mod client_credentials;
mod htpasswd;
mod introspection;
mod issuers;
mod jwts;
mod kinds;
pub mod personal_tokens;
mod profiles;
mod verified;

use crate::answer::reply::Reply;
use crate::testing::{Outcome, World, code, header};
use serde_json::Value;

/// The refusal of an access token.
#[track_caller]
fn refused(world: &mut World, token: &str, why: &str) -> Reply {
    let reply = world.show(token).reply();
    assert_eq!(reply.status, 401, "{why}");
    reply
}

/// An access token with these claims changed.
fn access(world: &World, patch: Value) -> String {
    let mut claims = world.idp.machine_claims(world.now);
    crate::testing::idp::merge(&mut claims, &patch);
    world.idp.sign(&claims)
}

/// Who the token proves, with the role; or the refusal, and what it is about.
fn shown(world: &mut World, token: &str) -> (String, String) {
    match world.show(token) {
        Outcome::Forwarded(sent) => {
            let value = |name| header(&sent, name).unwrap_or("-").to_owned();
            (value("x-auth-request-user"), value("x-auth-request-groups"))
        }
        other => {
            let reply = other.reply();
            let body = String::from_utf8(reply.body.clone()).unwrap();
            let about = body.split_once("Mismatch: ").map_or("", |(_, about)| about);
            (code(&reply), about.split('.').next().unwrap_or_default().to_owned())
        }
    }
}
