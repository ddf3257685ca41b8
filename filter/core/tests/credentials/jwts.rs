//! RFC 8725 and the draft of its successor, as far as they are about verifying (rows JWT).

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::foundation::crypto::to_base64url;
use crate::foundation::limits::TOKEN;
use crate::testing::{World, configuration};
use crate::tests::credentials::{access, refused};
use crate::wire::jose::Algorithm;
use crate::wire::jose::compact::{Compact, Jws};
use crate::wire::jose::jwk::{KeySet, PublicKey};
use serde_json::{Value, json};

/// The RSA key of RFC 7517, appendix A.1.
const N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

fn header(patch: Value) -> Value {
    let mut header = json!({"alg": "EdDSA", "typ": "JWT", "kid": "k1"});
    crate::testing::idp::merge(&mut header, &patch);
    header
}

#[track_caller]
fn refuses_header(patch: Value) {
    let mut world = World::new();
    // The keys are old enough to be fetched for a token that names an unknown one.
    world.pass(60);
    let claims = world.idp.machine_claims(world.now);
    let token = world.idp.sign_with(&header(patch.clone()), &claims);
    refused(&mut world, &token, &patch.to_string());
    assert_eq!(world.idp.calls.values().sum::<usize>(), 2, "{patch}: something was fetched");
}

fn usable(jwk: Value) -> Result<(), &'static str> {
    PublicKey::from_jwk(jwk.as_object().unwrap()).map(|_| ()).map_err(|why| why.0)
}

#[test]
fn jwt_1_only_listed_algorithms_count() {
    let mut settings = configuration();
    settings["idp"] = json!({"algorithms": ["ES256", "RS256"]});
    let mut world = World::with(&settings);
    let token = access(&world, json!({}));
    refused(&mut world, &token, "EdDSA is not listed");
}

#[test]
fn jwt_2_a_key_is_for_one_algorithm() {
    let rsa = |alg: &str| json!({"kty": "RSA", "n": N, "e": "AQAB", "kid": "r", "alg": alg});
    let set = |jwk: Value| KeySet::parse(json!({"keys": [jwk]}).to_string().as_bytes()).unwrap();
    for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| algorithm.is_rsa()) {
        let keys = set(rsa(algorithm.name()));
        for other in Algorithm::ALL {
            let found = keys.select(Some("r"), other).is_some();
            assert_eq!(found, other == algorithm, "{} for {}", algorithm.name(), other.name());
        }
    }
    for alg in ["ES256", "EdDSA", "RSA-OAEP", "HS256", "none"] {
        assert!(usable(rsa(alg)).is_err(), "{alg}");
    }
}

#[test]
fn a_key_that_is_left_out_says_why() {
    let rsa = |n: &[u8]| json!({"kty": "RSA", "n": to_base64url(n), "e": "AQAB"});
    let size = "an RSA modulus outside 2048 to 4096 bits";
    let with = |name: &str| json!({"kty": "RSA", "n": N, "e": "AQAB", name: "AQAB"});
    for (jwk, why) in [
        (rsa(&[0xff; 128]), size),
        (rsa(&[0xff; 513]), size),
        (rsa(&[&[0], [0xff; 256].as_slice()].concat()), size),
        (rsa(&[]), size),
        (with("d"), "private or symmetric"),
        (with("k"), "private or symmetric"),
        (json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}), "not a point of P-256"),
    ] {
        assert_eq!(usable(jwk.clone()), Err(why), "{jwk}");
    }
}

/// A token must not choose among several keys. The same key twice leaves it no choice.
#[test]
fn a_kid_names_one_key() {
    let mut world = World::new();
    let token = access(&world, json!({}));
    let last =
        |world: &World| world.idp.jwks()["keys"].as_array().unwrap().last().cloned().unwrap();
    let own = last(&world);
    world.idp.rotate("another");
    let mut same_kid = last(&world);
    same_kid["kid"] = own["kid"].clone();
    for (keys, status) in [([&own, &own], 200), ([&own, &same_kid], 401)] {
        let mut world = World::starting(&configuration());
        world.idp.instead_of_keys = Some(json!({ "keys": keys }).to_string().into_bytes());
        world.work();
        assert_eq!(world.show(&token).status(), status, "{keys:?}");
        let log = world.log.join("\n");
        let wanted = "an algorithm for which exactly one key has this kid";
        assert_eq!(log.contains(wanted), status == 401, "{log}");
    }
}

/// The base points, which are points of their curves.
#[test]
fn keys_of_both_curves_are_read() {
    let point = |curve: &str, x: &str, y: &str| {
        let digits = |text: &str| {
            let pairs = (0..text.len()).step_by(2).map(|at| &text[at..at + 2]);
            pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect::<Vec<_>>()
        };
        let (x, y) = (to_base64url(&digits(x)), to_base64url(&digits(y)));
        json!({"kty": "EC", "crv": curve, "x": x, "y": y})
    };
    let p256 = point(
        "P-256",
        "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
        "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
    );
    let p384 = point(
        "P-384",
        "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a38\
         5502f25dbf55296c3a545e3872760ab7",
        "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c0\
         0a60b1ce1d7e819d7a431d7c90ea0e5f",
    );
    for jwk in [p256, p384] {
        assert_eq!(usable(jwk.clone()), Ok(()), "{jwk}");
        let mut other = jwk.clone();
        other["y"] = jwk["x"].clone();
        assert!(usable(other).is_err(), "no point of the curve");
    }
}

#[test]
fn jwt_3_nothing_but_a_signed_token_is_read() {
    let world = World::new();
    let good = access(&world, json!({}));
    for bad in [
        format!("{good}.x"),
        format!("{good}.x.y"),
        good.rsplit_once('.').unwrap().0.to_owned(),
        format!("{}.", good.rsplit_once('.').unwrap().0),
        format!(".{good}"),
        String::new(),
    ] {
        assert!(Compact::parse(bad.as_bytes(), TOKEN).is_err(), "{bad}");
    }
    assert!(Compact::parse(good.as_bytes(), TOKEN).is_ok());
    refuses_header(json!({"enc": "A256GCM"}));
}

#[test]
fn jwt_4_points_that_are_not_on_their_curve_are_no_keys() {
    let one = to_base64url(&[1; 32]);
    let short = to_base64url(&[1; 31]);
    for (crv, x, y) in [
        ("P-256", one.as_str(), one.as_str()),
        ("P-256", short.as_str(), one.as_str()),
        ("P-256", "", ""),
        ("P-384", one.as_str(), one.as_str()),
        ("P-521", one.as_str(), one.as_str()),
        ("secp256k1", one.as_str(), one.as_str()),
    ] {
        assert!(usable(json!({"kty": "EC", "crv": crv, "x": x, "y": y})).is_err(), "{crv} {x}");
    }
    assert!(usable(json!({"kty": "OKP", "crv": "Ed25519", "x": short})).is_err());
    assert!(usable(json!({"kty": "OKP", "crv": "X25519", "x": one})).is_err());
}

#[test]
fn jwt_5_weak_and_huge_rsa_keys_are_no_keys() {
    let key = |bytes: usize, e: &str| {
        // Odd, its first bit set: as long as it says.
        let mut n = vec![0xb5; bytes];
        *n.last_mut().unwrap() = 0xb5;
        usable(json!({"kty": "RSA", "n": to_base64url(&n), "e": e}))
    };
    for (bytes, fits) in [(128, false), (255, false), (256, true), (512, true), (513, false)] {
        assert_eq!(key(bytes, "AQAB").is_ok(), fits, "{} bits", bytes * 8);
    }
    assert!(key(2048, "AQAB").is_err(), "16384 bits");
    for e in ["AQ", "Aw", "AAEAAQ", "AQAA", "", "_____w"] {
        assert!(key(256, e).is_err(), "exponent {e:?}");
    }
}

#[test]
fn jwt_6_text_is_utf_8_and_names_stand_once() {
    let part = |bytes: &[u8]| to_base64url(bytes);
    let payload = part(br#"{"iss":"a"}"#);
    for head in [
        &b"{\"alg\":\"EdDSA\",\"alg\":\"none\"}"[..],
        b"{\"alg\":\"EdDSA\",\"kid\":\"\xff\"}",
        b"\xef\xbb\xbf{\"alg\":\"EdDSA\"}",
        b"[\"EdDSA\"]",
        b"{\"alg\":\"EdDSA\"} ",
        b"{\"alg\":\"EdDSA\"}x",
    ] {
        let token = format!("{}.{payload}.AAAA", part(head));
        let trailing_blank = head.last() == Some(&b' ');
        assert_eq!(Jws::parse(token.as_bytes(), TOKEN).is_ok(), trailing_blank, "{head:?}");
    }
    let twice = part(br#"{"iss":"a","iss":"b"}"#);
    let token = format!("{}.{twice}.AAAA", part(br#"{"alg":"EdDSA"}"#));
    assert!(Compact::parse(token.as_bytes(), TOKEN).is_err());
}

#[test]
fn jwt_8_a_token_for_nobody_or_others_is_refused() {
    let mut world = World::new();
    for aud in [json!(null), json!([]), json!("account"), json!("prefect2"), json!(["a", "b"])] {
        let token = access(&world, json!({ "aud": aud }));
        refused(&mut world, &token, &aud.to_string());
    }
}

/// What a token says of keys is data, whatever it looks like.
#[test]
fn jwt_9_a_key_id_is_a_name_and_key_addresses_are_ignored() {
    for kid in ["../../dev/null", "k1' OR '1'='1", "k1\r\nx: y", "k1\u{0}", &"k".repeat(10_000)] {
        let mut world = World::new();
        let claims = world.idp.machine_claims(world.now);
        let token = world.idp.sign_with(&header(json!({ "kid": kid })), &claims);
        let status = world.show(&token).status();
        assert!(matches!(status, 401 | 503), "{kid}: {status}");
        for line in &world.log {
            assert!(line.len() < 1000 && !line.contains(['\r', '\n', '\0']), "{line:?}");
        }
    }
    for (name, value) in [
        ("jku", json!("https://evil.example/jwks")),
        ("x5u", json!("https://evil.example/cert")),
        ("jwk", json!({"kty": "OKP", "crv": "Ed25519", "x": to_base64url(&[1; 32])})),
        ("x5c", json!(["MIIB"])),
    ] {
        let mut world = World::new();
        let claims = world.idp.machine_claims(world.now);
        let token = world.idp.sign_with(&header(json!({ name: value })), &claims);
        assert_eq!(world.show(&token).status(), 200, "{name} says nothing");
        let token = crate::testing::idp::sign_as("forger", "JWT", &claims);
        assert!(matches!(world.show(&token).status(), 401 | 503), "{name}");
        assert!(world.idp.calls.keys().all(|path| path.starts_with("/realms/prefect/")));
    }
}

#[test]
fn jwt_10_a_header_type_that_is_there_is_the_right_one() {
    for (typ, status) in [
        (json!("JWT"), 200),
        (json!("jwt"), 200),
        (json!("application/jwt"), 200),
        (json!("at+jwt"), 200),
        (json!("application/AT+JWT"), 200),
        (json!(null), 200),
        (json!("logout+jwt"), 401),
        (json!("dpop+jwt"), 401),
        (json!("secevent+jwt"), 401),
        (json!("JWE"), 401),
        (json!(""), 401),
        (json!(1), 401),
    ] {
        let mut world = World::new();
        let claims = world.idp.machine_claims(world.now);
        let token = world.idp.sign_with(&header(json!({ "typ": typ })), &claims);
        assert_eq!(world.show(&token).status(), status, "{typ}");
    }
}

#[test]
fn jwt_2_another_algorithm_than_that_of_the_named_key_causes_no_fetch() {
    for alg in ["ES256", "ES384", "RS256", "PS256"] {
        refuses_header(json!({ "alg": alg }));
    }
}

#[test]
fn jwt_12_passwords_are_no_keys() {
    for alg in ["PBES2-HS256+A128KW", "dir", "A128KW", "RSA-OAEP", "ECDH-ES"] {
        refuses_header(json!({ "alg": alg }));
    }
}

#[test]
fn jwt_13_only_the_compact_form_is_read() {
    let world = World::new();
    let token = access(&world, json!({}));
    let [head, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let whole = json!({"protected": head, "payload": payload, "signature": signature}).to_string();
    for bad in [
        whole,
        format!("\"{token}\""),
        format!("{head}.{payload}.{signature}="),
        format!("{head}.{payload}.{signature}\n"),
        format!("{head} .{payload}.{signature}"),
        token.replace(['-', '_'], "+"),
    ] {
        assert!(bad == token || Compact::parse(bad.as_bytes(), TOKEN).is_err(), "{bad}");
    }
    let long = format!("{}.{}", token, "A".repeat(TOKEN));
    assert!(Compact::parse(long.as_bytes(), TOKEN).is_err());
}

#[test]
fn jwt_14_nothing_is_unpacked() {
    refuses_header(json!({"zip": "DEF"}));
}

#[test]
fn jwt_15_critical_extensions_are_refused() {
    for patch in [
        json!({"crit": ["exp"], "exp": 1}),
        json!({"crit": []}),
        json!({"crit": "exp"}),
        json!({"crit": ["b64"], "b64": false}),
        json!({"b64": false}),
        json!({"b64": true}),
    ] {
        refuses_header(patch);
    }
}

/// Spec §11: 16 KiB on both sides.
#[test]
fn tokens_are_bounded_on_both_sides() {
    let mut world = World::new();
    let overhead = access(&world, json!({"pad": ""})).len();
    // Three octets of payload are four of base64url.
    let most = (TOKEN - overhead) / 4 * 3 - 3;
    let fits = access(&world, json!({"pad": "x".repeat(most)}));
    assert!(fits.len() <= TOKEN && fits.len() > TOKEN - 16, "{}", fits.len());
    assert_eq!(world.show(&fits).status(), 200);
    let over = access(&world, json!({"pad": "x".repeat(most + 24)}));
    assert!(over.len() > TOKEN);
    assert_eq!(world.show(&over).status(), 401);
}

/// Spec §11: a set of 64 keys and 256 KiB, JSON of 32 levels, each on both sides.
#[test]
fn answers_are_bounded_on_both_sides() {
    use crate::foundation::limits::{JSON_DEPTH, JWKS_BYTES, JWKS_KEYS};
    let key = |kid: usize| json!({"kty": "OKP", "crv": "Ed25519", "kid": kid.to_string(), "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let set = |keys: usize| json!({"keys": (0..keys).map(key).collect::<Vec<_>>()}).to_string();
    assert_eq!(KeySet::parse(set(JWKS_KEYS).as_bytes()).unwrap().keys.len(), JWKS_KEYS);
    assert!(KeySet::parse(set(JWKS_KEYS + 1).as_bytes()).is_err());
    let padded = |bytes: usize| set(1) + &" ".repeat(bytes - set(1).len());
    assert!(KeySet::parse(padded(JWKS_BYTES).as_bytes()).is_ok());
    assert!(KeySet::parse(padded(JWKS_BYTES + 1).as_bytes()).is_err());
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(crate::foundation::json::parse(nested(JSON_DEPTH).as_bytes()).is_ok());
    assert!(crate::foundation::json::parse(nested(JSON_DEPTH + 1).as_bytes()).is_err());
}
