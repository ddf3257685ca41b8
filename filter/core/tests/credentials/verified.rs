//! Tokens that are remembered as verified: never longer, for nobody else, and not without their
//! keys.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::cell::Cell;
use std::rc::Rc;

use crate::Site;
use crate::foundation::crypto::Hash;
use crate::foundation::limits::VERIFIED;
use crate::site::Services;
use crate::testing::{World, compile, configuration, request};
use crate::wire::jose::signature::HostVerifier;
use crate::workers::NoStore;
use serde_json::{Value, json};

/// The key pair of RFC 7515, appendix A.3, public part: the host is asked about ES256.
const JWK: &str = r#"{"kty":"EC","crv":"P-256","kid":"k1","use":"sig","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;

/// A host that says yes, and counts how often it was asked.
#[derive(Default)]
struct Counting(Cell<usize>);

impl HostVerifier for Counting {
    fn verify(&self, _: Hash, _: &[u8], _: &[u8], _: &[u8]) -> Option<bool> {
        self.0.set(self.0.get() + 1);
        Some(true)
    }
}

fn counted() -> (World, Rc<Counting>) {
    let host = Rc::new(Counting::default());
    let mut world = World::starting(&configuration());
    let signatures: Rc<dyn HostVerifier> = Rc::<Counting>::clone(&host);
    world.site = Site::new(
        compile(&configuration()),
        Services { signatures, ..crate::testing::host(Rc::new(NoStore)) },
    );
    world.idp.instead_of_keys = Some(format!("{{\"keys\":[{JWK}]}}").into_bytes());
    world.work();
    (world, host)
}

fn token(world: &World, patch: &Value) -> String {
    let mut claims = world.idp.machine_claims(world.now);
    crate::testing::idp::merge(&mut claims, patch);
    world.idp.sign_with(&json!({"alg": "ES256", "typ": "JWT", "kid": "k1"}), &claims)
}

fn status(world: &mut World, token: &str) -> u16 {
    let line = format!("Bearer {token}");
    world.request(&request("GET", "/api/flows/1", &[("authorization", &line)])).1.status()
}

#[test]
fn the_same_token_is_verified_once() {
    let (mut world, host) = counted();
    let (one, other) = (token(&world, &json!({})), token(&world, &json!({"jti": "2"})));
    for _ in 0..5 {
        assert_eq!(status(&mut world, &one), 200);
    }
    assert_eq!(host.0.get(), 1);
    assert_eq!(status(&mut world, &other), 200);
    assert_eq!(host.0.get(), 2);
    // Another letter is another token, however much of it is known.
    let mut changed = one.clone();
    changed.replace_range(one.len() - 4..one.len() - 3, "x");
    let _ = status(&mut world, &changed);
    assert_eq!(host.0.get(), 3);
}

#[test]
fn it_ends_with_the_token_and_a_clock_that_goes_back_gives_nothing_back() {
    let (mut world, _) = counted();
    let now = world.now.secs();
    let one = token(&world, &json!({"nbf": now, "exp": now + 100}));
    assert_eq!(status(&mut world, &one), 200);
    world.pass(159);
    assert_eq!(status(&mut world, &one), 200, "60 s of leeway");
    world.pass(1);
    assert_eq!(status(&mut world, &one), 401);
    world.now = crate::foundation::time::UnixTime::from_secs(now - 60);
    assert_eq!(status(&mut world, &one), 200);
    world.now = crate::foundation::time::UnixTime::from_secs(now - 61);
    assert_ne!(status(&mut world, &one), 200);
}

/// A key that is gone has verified nothing.
#[test]
fn it_ends_with_the_keys_that_verified_it() {
    let (mut world, host) = counted();
    let one = token(&world, &json!({}));
    assert_eq!(status(&mut world, &one), 200);
    // The same keys once more: nothing has changed.
    world.pass(120);
    assert_eq!(status(&mut world, &one), 200);
    assert_eq!(host.0.get(), 1);
    let renamed = JWK.replace("\"k1\"", "\"k2\"");
    world.idp.instead_of_keys = Some(format!("{{\"keys\":[{renamed}]}}").into_bytes());
    world.pass(180);
    world.work();
    assert_ne!(status(&mut world, &one), 200);
    assert_eq!(host.0.get(), 1, "nobody asks about a key that is not there");
}

#[test]
fn what_is_refused_is_not_remembered() {
    let (mut world, host) = counted();
    let foreign = token(&world, &json!({"aud": "other"}));
    for asked in 1..4 {
        assert_eq!(status(&mut world, &foreign), 401);
        assert_eq!(host.0.get(), asked);
    }
}

#[test]
fn it_is_bounded() {
    let (mut world, host) = counted();
    let first = token(&world, &json!({"jti": "first"}));
    assert_eq!(status(&mut world, &first), 200);
    for number in 0..VERIFIED.entries {
        let token = token(&world, &json!({"jti": number.to_string()}));
        assert_eq!(status(&mut world, &token), 200);
    }
    let asked = host.0.get();
    assert_eq!(status(&mut world, &first), 200);
    assert_eq!(host.0.get(), asked + 1, "the oldest has gone");
}
