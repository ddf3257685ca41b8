//! Project Wycheproof's vectors for JSON Web Signatures and Keys.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::foundation::limits::TOKEN;
use crate::wire::jose::Algorithm;
use crate::wire::jose::compact::Jws;
use crate::wire::jose::jwk::KeySet;
use crate::wire::jose::signature::InRust;
use crate::wire::jose::verify::Verifier;
use serde_json::{Value, json};

use crate::tests::conformance::report;

const SIGNATURES: &str = include_str!("../data/wycheproof/json_web_signature_test.json");
const KEYS: &str = include_str!("../data/wycheproof/json_web_key_test.json");

/// Valid vectors that are refused, and why that is right: the key says PS256 and the header PS384,
/// the key's algorithm "ES521" does not exist, or there is a `?` in the base64url.
const REFUSED: [u64; 6] = [346, 347, 350, 351, 372, 373];

/// Whether a text is signed by one of the keys, by any algorithm that can be allowed.
fn accepted(text: &str, keys: &Value) -> bool {
    let Ok(jws) = Jws::parse(text.as_bytes(), TOKEN) else { return false };
    let Ok(keys) = KeySet::parse(keys.to_string().as_bytes()) else { return false };
    Verifier { keys: &keys, allowed: &Algorithm::ALL, host: &InRust }.check(&jws).is_ok()
}

/// Symmetric algorithms have no name in Lictor: their vectors agree when they are refused.
fn is_symmetric(group: &Value) -> bool {
    let private = &group["private"];
    private["kty"] == "oct" || private["keys"][0]["kty"] == "oct"
}

#[test]
fn signatures() {
    let suite: Value = serde_json::from_str(SIGNATURES).unwrap();
    let (mut agreed, mut forged, mut total, mut disagreed) = (0, 0, 0, Vec::new());
    for group in suite["testGroups"].as_array().unwrap() {
        let key = if group["public"].is_null() { &group["private"] } else { &group["public"] };
        let keys = json!({ "keys": [key] });
        for test in group["tests"].as_array().unwrap() {
            let valid = test["result"] == "valid";
            let id = test["tcId"].as_u64().unwrap();
            let accepted = test["jws"].as_str().is_some_and(|text| accepted(text, &keys));
            total += 1;
            forged += usize::from(accepted && !valid);
            if accepted == valid || (is_symmetric(group) && !accepted && !REFUSED.contains(&id)) {
                agreed += 1;
            } else {
                disagreed.push(id);
            }
        }
    }
    assert_eq!(forged, 0, "forged signatures were accepted: {disagreed:?}");
    assert_eq!(disagreed, REFUSED, "other vectors than those that are known");
    report("wycheproof-jws", agreed, total, 395);
}

#[test]
fn keys() {
    let suite: Value = serde_json::from_str(KEYS).unwrap();
    let (mut refused, mut invalid) = (0, 0);
    for group in suite["testGroups"].as_array().unwrap() {
        let keys = if group["public"].is_null() { &group["private"] } else { &group["public"] };
        for test in group["tests"].as_array().unwrap() {
            let accepted = accepted(test["jws"].as_str().unwrap(), keys);
            if test["result"] == "invalid" {
                invalid += 1;
                refused += usize::from(!accepted);
            } else {
                assert_eq!(accepted, !is_symmetric(group), "{test}");
            }
        }
    }
    report("wycheproof-jwk-refused", refused, invalid, 21);
}
