//! A configuration for unit tests.

use super::Config;

/// Returns a configuration with only the required settings and secrets.
pub(crate) fn config() -> Config {
    let environment = |name: &str| {
        let value = match name {
            "LICTOR_COOKIE_KEYS" => "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
            "LICTOR_CLIENT_SECRET" | "LICTOR_PREFECT_AUTH_STRING" => "a:b",
            _ => return None,
        };
        Some(value.to_owned())
    };
    let text =
        br#"{"public_url":"https://a.example","issuer":"https://b.example","client_id":"c"}"#;
    Config::compile(text, &environment).unwrap()
}
