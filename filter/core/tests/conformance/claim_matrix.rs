//! Every claim that Lictor reads, missing and with every wrong kind of value: 144 cells, each with
//! a verdict, for an access token and for an ID token.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use serde_json::{Value, json};

use crate::testing::browser::Browser;
use crate::testing::{World, request};
use crate::tests::conformance::report;

/// A claim, and the verdicts on an access token and on an ID token, in the order of [`values`]:
/// `A` accepted, `R` refused.
const VERDICTS: [(&str, &str, &str); 12] = [
    // Compared as text with the configured issuer.
    ("iss", "RRRR RRRR RRRR", "RRRR RRRR RRRR"),
    // 1 to 255 ASCII characters.
    ("sub", "RRRA RRRR RRRR", "RRRA RRRR RRRR"),
    // A string or an array of strings with ours among them.
    ("aud", "RRRR RRRR RRRR", "RRRR RRRR RRRR"),
    // Seconds, in the future and before the year 10000: 2^53 is no time in seconds.
    ("exp", "RRRR RRRR RRRR", "RRRR RRRR RRRR"),
    // May be missing; if it is there it is seconds, in the past. A fraction is a part of a second.
    ("nbf", "ARRR ARRR RRRR", "ARRR ARRR RRRR"),
    ("iat", "RRRR ARRR RRRR", "RRRR ARRR RRRR"),
    // Of no meaning in an access token; in an ID token it is that of the attempt.
    ("nonce", "AAAA AAAA AAAR", "RRRR RRRR RRRR"),
    // May be missing; in an ID token it is our client, in an access token any name.
    ("azp", "ARRA RRRR RRRR", "ARRR RRRR RRRR"),
    // Keycloak's kind of token; other providers' ID tokens do not have it.
    ("typ", "RRRR RRRR RRRR", "ARRR RRRR RRRR"),
    // Names for later, which decide nothing here.
    ("sid", "AAAA AAAA AAAR", "AAAA AAAA AAAR"),
    ("jti", "AAAA AAAA AAAR", "AAAA AAAA AAAR"),
    // Only logout tokens have them (OpenID Connect Back-Channel Logout §2.4).
    ("events", "ARRR RRRR RRRR", "ARRR RRRR RRRR"),
];

/// The columns; `None` is a claim that is missing.
fn values() -> [Option<Value>; 12] {
    let mut deep = json!([]);
    for _ in 0..crate::foundation::limits::JSON_DEPTH {
        deep = json!([deep]);
    }
    [
        None,
        Some(json!(null)),
        Some(json!("")),
        Some(json!("123")),
        Some(json!(1.5)),
        Some(json!(-1)),
        Some(json!(1e300)),
        Some(json!(1_u64 << 53)),
        Some(json!(true)),
        Some(json!([])),
        Some(json!({})),
        Some(deep),
    ]
}

fn set(claims: &mut Value, claim: &str, value: &Option<Value>) {
    let members = claims.as_object_mut().unwrap();
    match value {
        None => members.remove(claim),
        Some(value) => members.insert(claim.to_owned(), value.clone()),
    };
}

fn access_token_counts(claim: &str, value: &Option<Value>) -> bool {
    let mut world = World::new();
    let mut claims = world.idp.machine_claims(world.now);
    set(&mut claims, claim, value);
    let token = format!("Bearer {}", world.idp.sign(&claims));
    let version = request("GET", "/api/admin/version", &[("authorization", &token)]);
    let status = world.request(&version).1.status();
    assert!(matches!(status, 200 | 401), "{claim} {value:?}: {status}");
    status == 200
}

fn id_token_counts(claim: &'static str, value: &Option<Value>) -> bool {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let callback = browser.start_login(&mut world, "/");
    world.idp.exact_claim = Some((claim, value.clone()));
    let status = browser.load(&mut world, &callback).reply().status;
    assert!(matches!(status, 302 | 502), "{claim} {value:?}: {status}");
    assert_eq!(browser.session().is_some(), status == 302);
    status == 302
}

#[test]
fn every_claim_with_every_kind_of_value() {
    let (mut access, mut id, mut cells, mut wrong) = (0, 0, 0, Vec::new());
    for (claim, of_access, of_id) in VERDICTS {
        let verdicts = |row: &'static str| row.chars().filter(|c| *c != ' ').map(|c| c == 'A');
        let columns = values().into_iter().zip(verdicts(of_access).zip(verdicts(of_id)));
        for (value, (access_wanted, id_wanted)) in columns {
            cells += 1;
            let as_wanted = access_token_counts(claim, &value) == access_wanted;
            access += usize::from(as_wanted);
            let id_as_wanted = id_token_counts(claim, &value) == id_wanted;
            id += usize::from(id_as_wanted);
            if !as_wanted || !id_as_wanted {
                wrong.push((claim, value, as_wanted, id_as_wanted));
            }
        }
    }
    assert!(wrong.is_empty(), "not as written: {wrong:?}");
    report("claims-of-access-tokens", access, cells, 144);
    report("claims-of-id-tokens", id, cells, 144);
}
