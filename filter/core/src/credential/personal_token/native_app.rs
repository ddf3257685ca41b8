//! A terminal that wants a personal token for the person at the browser: what it asks with, and what it
//! trades the code with (the shape of RFC 8252 and RFC 7636, for a token of ours).

use crate::config::Config;
use crate::foundation::crypto::{constant_time_eq, from_base64url, sha256, to_base64url};
use crate::refusal::{Reason, Refusal};
use crate::wire::http::query::{encode, only};

/// What a terminal asks with, in the page's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NativeApp {
    /// `challenge`: SHA-256 of a verifier that only the terminal knows.
    pub(crate) challenge: [u8; 32],
    /// `port`: where on this computer it waits for the code; without it the person carries the code over.
    pub(crate) port: Option<u16>,
    /// `state`, given back to the terminal.
    pub(crate) state: Option<String>,
}

fn malformed(seen: &str) -> Refusal {
    Refusal::new(Reason::TokenRequest)
        .seen(seen)
        .wanted("challenge (43 characters), and optionally port and state, once each")
}

impl NativeApp {
    /// Reads it; `None` when a person asks at the browser alone.
    ///
    /// # Errors
    /// When a parameter is malformed or stands twice.
    pub(crate) fn read(query: Option<&str>) -> Result<Option<Self>, Refusal> {
        let query = query.unwrap_or_default();
        let one = |name| only(query, name).map_err(|_| malformed("a parameter twice"));
        let (challenge, port, state) = (one("challenge")?, one("port")?, one("state")?);
        if query.is_empty() || (query.starts_with("form_token=") && challenge.is_none()) {
            return Ok(None);
        }
        let challenge = challenge
            .and_then(|text| from_base64url(text.as_bytes())?.try_into().ok())
            .ok_or_else(|| malformed("another challenge"))?;
        let port = port.map(|text| text.parse().ok().filter(|port| *port != 0));
        if port == Some(None) {
            return Err(malformed("another port"));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let fits = |text: &str| (1..=128).contains(&text.len()) && text.bytes().all(plain);
        if state.as_deref().is_some_and(|state| !fits(state)) {
            return Err(malformed("another state"));
        }
        let state = state.map(|state| state.into_owned());
        Ok(Some(Self { challenge, port: port.flatten(), state }))
    }

    /// What both the terminal and the page show, so that a person sees that they belong together.
    #[must_use]
    pub(crate) fn verification_code(&self) -> String {
        // No letters that look like digits.
        const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
        let hash = sha256(&self.challenge);
        let letter = |byte: &u8| LETTERS.get(usize::from(byte % 32)).copied().map(char::from);
        let letters: String = hash.iter().take(8).filter_map(letter).collect();
        let (first, second) = letters.split_at(letters.len() / 2);
        format!("{first}-{second}")
    }

    /// Where the code goes: to this computer alone, never to a name (RFC 8252 §7.3, §8.3).
    #[must_use]
    pub(crate) fn origin(&self) -> Option<String> {
        self.port.map(|port| format!("http://127.0.0.1:{port}"))
    }

    /// That address with the code.
    #[must_use]
    pub(crate) fn address(&self, code: &str) -> Option<String> {
        let state = self.state.as_deref().map(|state| ("state", state));
        let query = encode([("code", code)].into_iter().chain(state));
        self.origin().map(|origin| format!("{origin}/?{query}"))
    }
}

/// What the page's answer brings back: that the person was asked.
#[must_use]
pub(crate) fn form_token(query: Option<&str>) -> Option<String> {
    only(query?, "form_token").ok().flatten().map(|text| text.into_owned())
}

/// Where the page's answer is posted.
#[must_use]
pub(crate) fn form_action(page: &str, form_token: &str) -> String {
    let separator = if page.contains('?') { '&' } else { '?' };
    format!("{page}{separator}form_token={form_token}")
}

/// The page's path, for this terminal.
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

/// What a terminal trades for a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenRequest {
    /// `code`.
    pub(crate) code: String,
    /// `code_verifier`.
    verifier: String,
}

impl TokenRequest {
    /// Reads the form of a trade.
    ///
    /// # Errors
    /// When it is another grant, or a parameter is missing or stands twice.
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

    /// Whether its verifier is that of a challenge (RFC 7636 §4.6).
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
        assert_eq!(terminal.verification_code().len(), 9);
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
        let trade =
            |verifier: &str| TokenRequest { code: String::new(), verifier: verifier.to_owned() };
        let good = "x".repeat(43);
        assert!(trade(&good).fits(&sha256(good.as_bytes())));
        for bad in ["x".repeat(42), "x".repeat(129), format!("{good} "), "é".repeat(43)] {
            assert!(!trade(&bad).fits(&sha256(bad.as_bytes())), "{bad}");
        }
        assert!(!trade(&good).fits(&sha256(b"another")));
    }
}
