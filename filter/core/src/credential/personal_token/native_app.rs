//! Requests of a terminal that obtains a personal token for the person at the browser.
//!
//! The terminal is a native app as in RFC 8252. The browser brings it a code, which it redeems with
//! a PKCE verifier (RFC 7636).

use crate::config::Config;
use crate::foundation::crypto::{constant_time_eq, from_base64url, sha256, to_base64url};
use crate::refusal::{Reason, Refusal};
use crate::wire::http::query::{encode, only};

/// A terminal's request, in the query of the page for personal tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NativeApp {
    /// The parameter `challenge`: the SHA-256 of a verifier that only the terminal knows.
    pub(crate) challenge: [u8; 32],
    /// The parameter `port`: the loopback port where the terminal waits for the code.
    ///
    /// Without it the person copies the code into the terminal.
    pub(crate) port: Option<u16>,
    /// The parameter `state`, which is returned to the terminal.
    pub(crate) state: Option<String>,
}

fn malformed(seen: &str) -> Refusal {
    Refusal::new(Reason::TokenRequest)
        .seen(seen)
        .wanted("challenge (43 characters), and optionally port and state, once each")
}

impl NativeApp {
    /// Reads the request from a query. Returns `None` if no terminal takes part.
    ///
    /// # Errors
    /// When a parameter is malformed or repeated.
    pub(crate) fn read(query: Option<&str>) -> Result<Option<Self>, Refusal> {
        let query = query.unwrap_or_default();
        let one = |name| only(query, name).map_err(|_| malformed("a parameter twice"));
        let (challenge, port, state) = (one("challenge")?, one("port")?, one("state")?);
        if query.is_empty() || (query.starts_with("form_token=") && challenge.is_none()) {
            return Ok(None);
        }
        let challenge = challenge
            .and_then(|text| from_base64url(text.as_bytes())?.try_into().ok())
            .ok_or_else(|| malformed("an invalid challenge"))?;
        let port = port.map(|text| text.parse().ok().filter(|port| *port != 0));
        if port == Some(None) {
            return Err(malformed("an invalid port"));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let fits = |text: &str| (1..=128).contains(&text.len()) && text.bytes().all(plain);
        if state.as_deref().is_some_and(|state| !fits(state)) {
            return Err(malformed("an invalid state"));
        }
        let state = state.map(|state| state.into_owned());
        Ok(Some(Self { challenge, port: port.flatten(), state }))
    }

    /// Returns the verification code, which the terminal and the page both show.
    ///
    /// By comparing them, the person sees that the page belongs to the terminal.
    #[must_use]
    pub(crate) fn verification_code(&self) -> String {
        // The letters I and O and the digits 0 and 1 are left out, since they look alike.
        const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
        let hash = sha256(&self.challenge);
        let letter = |byte: &u8| LETTERS.get(usize::from(byte % 32)).copied().map(char::from);
        let letters: String = hash.iter().take(8).filter_map(letter).collect();
        let (first, second) = letters.split_at(letters.len() / 2);
        format!("{first}-{second}")
    }

    /// Returns the origin to which the browser sends the code.
    ///
    /// It is a loopback address, never a host name (RFC 8252 §7.3, §8.3).
    #[must_use]
    pub(crate) fn origin(&self) -> Option<String> {
        self.port.map(|port| format!("http://127.0.0.1:{port}"))
    }

    /// Returns the URL at the terminal's loopback port that carries the code and the state.
    #[must_use]
    pub(crate) fn address(&self, code: &str) -> Option<String> {
        let state = self.state.as_deref().map(|state| ("state", state));
        let query = encode([("code", code)].into_iter().chain(state));
        self.origin().map(|origin| format!("{origin}/?{query}"))
    }
}

/// Returns the form token, by which a posted form proves that the person saw the page.
#[must_use]
pub(crate) fn form_token(query: Option<&str>) -> Option<String> {
    only(query?, "form_token").ok().flatten().map(|text| text.into_owned())
}

/// Returns the path to which the page's form is posted, with the form token.
#[must_use]
pub(crate) fn form_action(page: &str, form_token: &str) -> String {
    let separator = if page.contains('?') { '&' } else { '?' };
    format!("{page}{separator}form_token={form_token}")
}

/// Returns the path of the page for personal tokens, with a terminal's parameters.
#[must_use]
pub(crate) fn page_path(terminal: Option<&NativeApp>, config: &Config) -> String {
    let path = format!("{}/token", config.endpoints);
    let Some(terminal) = terminal else { return path };
    let challenge = to_base64url(&terminal.challenge);
    let port = terminal.port.map(|port| port.to_string());
    let pairs = [
        Some(("challenge", challenge.as_str())),
        port.as_deref().map(|port| ("port", port)),
        terminal.state.as_deref().map(|state| ("state", state)),
    ];
    format!("{path}?{}", encode(pairs.into_iter().flatten()))
}

/// A terminal's token request, which redeems a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenRequest {
    /// The parameter `code`.
    pub(crate) code: String,
    /// The parameter `code_verifier`.
    verifier: String,
}

impl TokenRequest {
    /// Reads a token request from a form.
    ///
    /// # Errors
    /// When `grant_type` is another one, or a parameter is missing or repeated.
    pub(crate) fn read(form: &str) -> Result<Self, Refusal> {
        let wanted = "a form with grant_type=authorization_code, code and code_verifier, once each";
        let refusal = |seen: &str| Refusal::new(Reason::TokenRequest).seen(seen).wanted(wanted);
        let one = |name: &str| {
            let value = only(form, name).map_err(|_| refusal("a parameter twice"))?;
            value.map(|value| value.into_owned()).ok_or_else(|| refusal("a parameter missing"))
        };
        if one("grant_type")? != "authorization_code" {
            return Err(refusal("another grant_type"));
        }
        Ok(Self { code: one("code")?, verifier: one("code_verifier")? })
    }

    /// Returns whether the request's verifier matches a code challenge (RFC 7636 §4.6).
    #[must_use]
    pub(crate) fn fits(&self, challenge: &[u8; 32]) -> bool {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let well_formed =
            (43..=128).contains(&self.verifier.len()) && self.verifier.bytes().all(unreserved);
        well_formed && constant_time_eq(&sha256(self.verifier.as_bytes()), challenge)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn what_a_terminal_asks_with_is_read_strictly() {
        let challenge = to_base64url(&[7; 32]);
        let read = |query: &str| NativeApp::read(Some(query));
        assert_eq!(NativeApp::read(None), Ok(None));
        let full = format!("challenge={challenge}&port=8123&state=a-b.c");
        let terminal = read(&full).unwrap().unwrap();
        assert_eq!((terminal.port, terminal.state.as_deref()), (Some(8123), Some("a-b.c")));
        assert_eq!(terminal.address("x").unwrap(), "http://127.0.0.1:8123/?code=x&state=a-b.c");
        // Programs compute it as docs/machines.md describes.
        assert_eq!(terminal.verification_code(), "MSRQ-Q4ZX");
        assert_eq!(read(&format!("challenge={challenge}")).unwrap().unwrap().address("x"), None);
        for bad in [
            "x=1".to_owned(),
            "challenge=".to_owned(),
            format!("challenge={challenge}a"),
            format!("challenge={challenge}&challenge={challenge}"),
            format!("challenge={challenge}&port=0"),
            format!("challenge={challenge}&port=65536"),
            format!("challenge={challenge}&port=80@evil.example"),
            format!("challenge={challenge}&port="),
            format!("challenge={challenge}&state=a%0d%0ab"),
            format!("challenge={challenge}&state="),
            format!("challenge={challenge}&state={}", "x".repeat(129)),
        ] {
            assert_eq!(read(&bad).unwrap_err().reason, Reason::TokenRequest, "{bad}");
        }
    }

    #[test]
    fn a_verifier_fits_its_challenge_alone() {
        let request =
            |verifier: &str| TokenRequest { code: String::new(), verifier: verifier.to_owned() };
        let good = "x".repeat(43);
        assert!(request(&good).fits(&sha256(good.as_bytes())));
        for bad in ["x".repeat(42), "x".repeat(129), format!("{good} "), "é".repeat(43)] {
            assert!(!request(&bad).fits(&sha256(bad.as_bytes())), "{bad}");
        }
        assert!(!request(&good).fits(&sha256(b"another")));
    }
}
