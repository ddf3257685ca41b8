//! ID tokens: OpenID Connect Core 1.0 §3.1.3.7, in the order of its steps, and §12.2 (rows IDT).

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::foundation::crypto::{Hash, to_base64url};
use crate::testing::browser::Browser;
use crate::testing::{World, configuration};
use serde_json::{Value, json};

/// A login whose ID token is what `make` makes of the usual claims; the status of its end.
fn login(make: impl FnOnce(&World, Value) -> String) -> u16 {
    login_at(World::new(), make)
}

fn login_at(mut world: World, make: impl FnOnce(&World, Value) -> String) -> u16 {
    let mut browser = Browser::default();
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

#[test]
fn idt_1_an_encrypted_token_is_refused() {
    assert_eq!(login(|world, claims| format!("{}.x.y", world.idp.sign(&claims))), 502);
    assert_eq!(login(|_, _| "eyJhbGciOiJSU0EtT0FFUCJ9.a.b.c.d".to_owned()), 502);
}

#[test]
fn idt_2_the_issuer_is_compared_as_text() {
    for iss in [
        json!("https://sso.example.com/realms/prefect/"),
        json!("https://SSO.example.com/realms/prefect"),
        json!("https://sso.example.com:443/realms/prefect"),
        json!("http://sso.example.com/realms/prefect"),
        json!("https://evil.example"),
        json!(["https://sso.example.com/realms/prefect"]),
        Value::Null,
    ] {
        assert_eq!(login_with(json!({ "iss": iss })), 502, "{iss}");
    }
}

#[test]
fn idt_3_the_audience_is_us_and_nobody_we_do_not_trust() {
    assert_eq!(login_with(json!({"aud": ["prefect"]})), 302);
    for aud in [
        json!([]),
        json!("other"),
        json!(["prefect", "stranger"]),
        json!(["prefect", 1]),
        json!(1),
        Value::Null,
    ] {
        assert_eq!(login_with(json!({ "aud": aud })), 502, "{aud}");
    }
}

#[test]
fn idt_3_an_audience_that_the_operator_trusts_may_be_beside_us() {
    let mut settings = configuration();
    settings["idp"]["trusted_audiences"] = json!(["grafana"]);
    for (aud, status) in [
        (json!(["prefect", "grafana"]), 302),
        (json!(["grafana", "prefect"]), 302),
        (json!("prefect"), 302),
        (json!(["prefect", "grafana", "stranger"]), 502),
        // It stands for nobody by itself.
        (json!("grafana"), 502),
        (json!(["grafana"]), 502),
    ] {
        let seen = login_at(World::with(&settings), |world, mut claims| {
            claims["aud"] = aud.clone();
            world.idp.sign(&claims)
        });
        assert_eq!(seen, status, "{aud}");
    }
}

#[test]
fn idt_4_5_the_authorized_party_is_us() {
    assert_eq!(login_with(json!({"azp": null})), 302);
    for azp in [json!("other"), json!(1), json!(["prefect"])] {
        assert_eq!(login_with(json!({ "azp": azp })), 502, "{azp}");
    }
}

#[test]
fn idt_6_the_signature_is_always_verified() {
    let broken = |world: &World, claims: Value| {
        let token = world.idp.sign(&claims);
        let (signed, _) = token.rsplit_once('.').unwrap();
        format!("{signed}.{}", to_base64url(&[7; 64]))
    };
    assert_eq!(login(broken), 502);
    assert_eq!(login(|world, claims| format!("{}A", world.idp.sign(&claims))), 502);
}

#[test]
fn idt_7_algorithms_are_those_of_the_list() {
    for alg in ["none", "None", "nOnE", "eddsa", "EDDSA", "HS256", "RS256", "ES256K", ""] {
        let header = json!({"alg": alg, "kid": "k1", "typ": "JWT"});
        assert_eq!(login(|world, claims| world.idp.sign_with(&header, &claims)), 502, "{alg}");
    }
    // A list without EdDSA refuses what is signed so, whatever the key says.
    let mut settings = configuration();
    settings["idp"] = json!({"algorithms": ["RS256"]});
    let mut world = World::with(&settings);
    let mut browser = Browser::default();
    let callback = browser.start_login(&mut world, "/");
    assert_eq!(browser.load(&mut world, &callback).reply().status, 502);
}

/// A symmetric signature under a key that everybody can read.
#[test]
fn idt_8_symmetric_algorithms_are_refused() {
    for alg in ["HS256", "HS384", "HS512"] {
        let header = json!({"alg": alg, "typ": "JWT"});
        assert_eq!(login(|world, claims| world.idp.sign_with(&header, &claims)), 502, "{alg}");
    }
}

#[test]
fn idt_9_the_token_is_in_time() {
    for exp in [
        json!(1_799_999_940),
        json!("1900000000"),
        json!(1_900_000_000_000_u64),
        json!(-1),
        json!(1e300),
        Value::Null,
    ] {
        assert_eq!(login_with(json!({ "exp": exp })), 502, "{exp}");
    }
    assert_eq!(login_with(json!({"exp": 1_799_999_941})), 302, "60 s of leeway");
    for exp in [json!(1.9e9), json!(1_900_000_000.5)] {
        assert_eq!(login_with(json!({ "exp": exp })), 302, "{exp}");
    }
}

#[test]
fn idt_10_the_time_of_issue_is_there_and_not_ahead() {
    for iat in [Value::Null, json!(1_800_000_061), json!("1800000000")] {
        assert_eq!(login_with(json!({ "iat": iat })), 502, "{iat}");
    }
    assert_eq!(login_with(json!({"iat": 1_800_000_060})), 302);
}

#[test]
fn idt_11_the_nonce_is_that_of_the_attempt() {
    for nonce in [json!("other"), json!(""), json!([]), Value::Null] {
        assert_eq!(login_with(json!({ "nonce": nonce })), 502, "{nonce}");
    }
}

#[test]
fn idt_14_the_subject_is_1_to_255_ascii_characters() {
    for sub in [Value::Null, json!(""), json!(1), json!("x".repeat(256)), json!("zoë")] {
        assert_eq!(login_with(json!({ "sub": sub })), 502, "{sub}");
    }
    assert_eq!(login_with(json!({"sub": "x".repeat(255)})), 302);
}

#[test]
fn idt_15_the_access_token_is_the_one_that_was_meant() {
    let right = Hash::Sha512.digest(b"planted-access-token");
    assert_eq!(login_with(json!({"at_hash": to_base64url(&right[..32])})), 302);
    for at_hash in [json!(to_base64url(&right)), json!("AAAA"), json!(1), json!("")] {
        assert_eq!(login_with(json!({ "at_hash": at_hash })), 502, "{at_hash}");
    }
}

/// §12.2: after a refresh it is still the same person, by the same provider.
#[test]
fn idt_17_a_refresh_does_not_change_the_person() {
    for (patch, status) in [
        (json!({}), 200),
        (json!({"nonce": null}), 200),
        (json!({"iss": "https://evil.example"}), 401),
        (json!({"sub": "mallory"}), 401),
        (json!({"aud": "other"}), 401),
        (json!({"azp": "other"}), 401),
        // The person has authenticated again, in another application perhaps.
        (json!({"auth_time": 1_800_000_200}), 200),
        (json!({"auth_time": 1_799_900_000}), 401),
        (json!({"auth_time": null}), 200),
        (json!({"sid": "another"}), 401),
    ] {
        let mut world = World::new();
        let browser = world.log_in();
        world.idp.claims = patch.clone();
        world.pass(300);
        world.work();
        let headers = browser.asks();
        assert_eq!(world.request(&headers).1.status(), status, "{patch}");
    }
}

#[test]
fn idt_18_another_issuer_s_metadata_let_nobody_log_in() {
    for issuer in [
        json!("https://sso.example.com/realms/prefect/"),
        json!("https://sso.example.com/realms/other"),
        json!(null),
    ] {
        let mut world = World::starting(&configuration());
        world.idp.instead_of_metadata = Some(json!({
            "issuer": issuer,
            "authorization_endpoint": "https://sso.example.com/realms/prefect/auth",
            "token_endpoint": "https://sso.example.com/realms/prefect/token",
            "jwks_uri": "https://sso.example.com/realms/prefect/certs",
        }));
        world.work();
        let mut browser = Browser::default();
        assert_eq!(browser.load(&mut world, "/").reply().status, 503, "{issuer}");
        assert!(browser.cookies.is_empty());
        assert_eq!(world.idp.called("/realms/prefect/certs"), 0);
    }
}

#[test]
fn idt_19_a_new_key_is_fetched() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    let callback = browser.start_login(&mut world, "/");
    world.idp.rotate("k2");
    let headers = browser.headers("GET", &callback, &crate::testing::browser::NAVIGATION);
    assert_eq!(world.request(&headers).1.status(), 302);
}

const AT_HASH: &str = "cULnkdhG7796NG-afFSraYKdeVGlbZ-8HhlCCteM_Q8";

#[test]
fn id_tokens_that_do_not_fit_log_nobody_in() {
    for (patch, why) in [
        (json!({"iss": "https://sso.example.com/realms/prefect/"}), "IDT-2"),
        (json!({"aud": "other"}), "IDT-3"),
        (json!({"aud": ["prefect", "stranger"]}), "IDT-3"),
        (json!({"aud": null}), "IDT-3"),
        (json!({"azp": "other"}), "IDT-4/5"),
        (json!({"azp": 1}), "IDT-4/5"),
        (json!({"exp": 1_799_999_900}), "IDT-9"),
        (json!({"exp": "1900000000"}), "IDT-9"),
        (json!({"iat": null}), "IDT-10"),
        (json!({"iat": 1_800_000_061}), "IDT-10"),
        (json!({"nonce": "other"}), "IDT-11"),
        (json!({"nonce": null}), "IDT-11"),
        (json!({"sub": null}), "IDT-14"),
        (json!({"sub": ""}), "IDT-14"),
        (json!({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}), "IDT-15"),
        (json!({"at_hash": 1}), "IDT-15"),
        // The left half of the SHA-512 of "planted-access-token": Ed25519 signs over SHA-512.
        (json!({"at_hash": AT_HASH}), ""),
        (json!({"typ": "Bearer"}), "KC-1"),
        (json!({"typ": "Logout"}), "KC-1"),
    ] {
        let (mut world, mut browser) = (World::new(), Browser::default());
        let callback = browser.start_login(&mut world, "/");
        world.idp.claims = patch.clone();
        let reply = browser.load(&mut world, &callback).reply();
        let wanted = if why.is_empty() { 302 } else { 502 };
        assert_eq!(reply.status, wanted, "{why} {patch}");
        assert_eq!(browser.session().is_some(), why.is_empty(), "{why} {patch}");
    }
}
