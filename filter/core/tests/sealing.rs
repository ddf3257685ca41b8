//! What a sealed text is bound to. All texts may be sealed with one key, so each binding counts.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use serde_json::json;

use crate::config::Config;
use crate::foundation::crypto::{from_base64url, to_base64url};
use crate::sealing::Purpose::{
    Failures, Login, PersonalToken, PersonalTokenCode, PersonalTokenForm, Session,
};
use crate::sealing::Sealer;
use crate::testing::{COOKIE_KEY, Repeatable, compile, configuration, environment};

const NAME: &str = "__Host-lictor";
const OTHER_KEY: &str = "HwAAAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4";

fn with_keys(keys: &str) -> Config {
    let environment = |name: &str| match name {
        "LICTOR_COOKIE_KEYS" => Some(keys.to_owned()),
        _ => environment(name),
    };
    Config::compile(configuration().to_string().as_bytes(), &environment).unwrap()
}

fn with(setting: &str, value: &str) -> Config {
    let mut settings = configuration();
    settings[setting] = json!(value);
    compile(&settings)
}

#[test]
fn a_text_opens_only_for_its_purpose() {
    let config = compile(&configuration());
    let purposes = [Session, Login, Failures, PersonalToken, PersonalTokenForm, PersonalTokenCode];
    for sealed_for in purposes {
        let sealer = Sealer::new(sealed_for, &config);
        let text = sealer.seal(NAME, b"plain", &mut Repeatable::seeded(1)).unwrap();
        for opened_for in purposes {
            let opened = Sealer::new(opened_for, &config).open(NAME, text.as_bytes());
            assert_eq!(opened.is_some(), sealed_for == opened_for, "{sealed_for:?} {opened_for:?}");
        }
    }
}

#[test]
fn a_text_opens_only_where_it_was_sealed() {
    let config = compile(&configuration());
    let sealer = Sealer::new(Session, &config);
    let text = sealer.seal(NAME, b"plain", &mut Repeatable::seeded(1)).unwrap();
    let opens = |config: &Config, name: &str, text: &[u8]| {
        Sealer::new(Session, config).open(name, text).map(|opened| (opened.plain, opened.stale))
    };
    let mut newer = from_base64url(text.as_bytes()).unwrap();
    newer[0] += 1;
    let newer = to_base64url(&newer);
    let plain = |stale| Some((b"plain".to_vec(), stale));
    let table = [
        ("the same", opens(&config, NAME, text.as_bytes()), plain(false)),
        ("another name", opens(&config, "__Host-lictor.1", text.as_bytes()), None),
        ("another version", opens(&config, NAME, newer.as_bytes()), None),
        ("another client", opens(&with("client_id", "other"), NAME, text.as_bytes()), None),
        (
            "another issuer",
            opens(&with("issuer", "https://sso.example.com/realms/other"), NAME, text.as_bytes()),
            None,
        ),
        (
            "another site",
            opens(&with("public_url", "https://other.example.com"), NAME, text.as_bytes()),
            None,
        ),
        (
            "another path",
            opens(&with("public_url", "https://prefect.example.com/a"), NAME, text.as_bytes()),
            None,
        ),
        ("another key", opens(&with_keys(OTHER_KEY), NAME, text.as_bytes()), None),
        (
            "a newer key before it",
            opens(&with_keys(&format!("{OTHER_KEY},{COOKIE_KEY}")), NAME, text.as_bytes()),
            plain(true),
        ),
        (
            "an older key behind it",
            opens(&with_keys(&format!("{COOKIE_KEY},{OTHER_KEY}")), NAME, text.as_bytes()),
            plain(false),
        ),
    ];
    for (what, found, wanted) in table {
        assert_eq!(found, wanted, "{what}");
    }
}
