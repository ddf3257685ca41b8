//! API keys and tokens with something around them, as people paste them.
//!
//! Whatever is neither a key nor a token could be a client's secret, which Lictor sends to the
//! provider. A mistyped key must not go there: the provider may be another company's.

use crate::credential::kind::Kind;
use crate::credential::{api_key, personal_token};
use crate::wire::http::authorization::HEADERS;

/// What a text is that is not a credential, but looks like a key or a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Misspelt {
    /// What was seen, without any part of the text.
    pub(crate) seen: &'static str,
    /// What to write instead.
    pub(crate) wanted: &'static str,
}

const KEY: Misspelt = Misspelt {
    seen: "an API key or personal token with something around it",
    wanted: "name:key alone, without blanks, quotes, a scheme or percent-encoding",
};
const JWT: Misspelt = Misspelt {
    seen: "a JSON Web Token with something around it",
    wanted: "Bearer and the token, without a name or quotes",
};
const HEADER: Misspelt = Misspelt {
    seen: "the name of a header, a scheme or a setting",
    wanted: "name:secret alone, the value of PREFECT_API_AUTH_STRING",
};
const NO_SECRET: Misspelt = Misspelt {
    seen: "a blank at an end, or a character that can't be seen",
    wanted: "the client ID and the client secret alone",
};

/// Words that belong in front of a credential, in lower case, beside the names of its headers.
/// `export` comes with a pasted line.
const WORDS: [&str; 7] = [
    "basic",
    "bearer",
    "export",
    "prefect_api_auth_string",
    "prefect_api_key",
    "prefect_client_custom_headers",
    "token",
];

/// The least length of a key, a token or a part of one that is told from an ordinary word.
const LEAST: usize = 12;

impl Misspelt {
    /// Returns what a name or a secret seems to be, if it can't be a client's.
    pub(crate) fn of(text: &[u8]) -> Option<Self> {
        match Kind::of(text) {
            Kind::ApiKey | Kind::PersonalToken => return Some(KEY),
            Kind::Jwt => return Some(JWT),
            Kind::Other => {}
        }
        let decoded = percent_decoded(&percent_decoded(text));
        let lower = decoded.to_ascii_lowercase();
        // Characters that can't be seen may be anywhere in a key.
        let visible: Vec<u8> =
            lower.iter().copied().filter(|byte| matches!(byte, b' '..=b'~')).collect();
        Self::of_parts(&lower).or_else(|| Self::of_parts(&visible)).or_else(|| {
            let text = String::from_utf8_lossy(text);
            let is_hidden = |c: char| c.is_control() || is_format(c);
            (text.trim() != text || text.contains(is_hidden)).then_some(NO_SECRET)
        })
    }

    fn of_parts(lower: &[u8]) -> Option<Self> {
        let parts: Vec<&[u8]> =
            lower.split(|byte| is_separator(*byte)).filter(|part| !part.is_empty()).collect();
        let is_ours = |part: &&[u8]| {
            let begins =
                part.starts_with(api_key::PREFIX) || part.starts_with(personal_token::PREFIX);
            begins && part.len() >= LEAST
        };
        if parts.iter().any(is_ours) {
            return Some(KEY);
        }
        if parts.iter().any(|part| is_jwt(part)) {
            return Some(JWT);
        }
        let is_word =
            |part: &&[u8]| WORDS.iter().chain(&HEADERS).any(|word| word.as_bytes() == *part);
        (parts.len() > 1 && parts.first().is_some_and(is_word)).then_some(HEADER)
    }
}

/// Returns whether a character has no shape of its own: soft hyphens, joiners, marks of direction.
const fn is_format(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

/// Returns whether a byte ends a part: a blank, a quote, a bracket, or what separates a name
/// from a value. Bytes beyond ASCII are blanks and quotes of other alphabets.
const fn is_separator(byte: u8) -> bool {
    !byte.is_ascii_alphanumeric() && !matches!(byte, b'_' | b'-' | b'.' | b'~' | b'+' | b'/')
}

/// Returns whether a part in lower case has the shape of a compact JWS: an encoded JSON object
/// first.
fn is_jwt(part: &[u8]) -> bool {
    part.starts_with(b"ey") && part.len() >= 3 * LEAST && part.split(|b| *b == b'.').count() == 3
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    percent_encoding::percent_decode(text).collect()
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const KEY_TEXT: &str = "lk_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
    const JWT_TEXT: &str = "eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJodHRwczovL3gifQ.c2lnbmF0dXJl";

    #[test]
    fn a_credential_of_ours_is_known_in_every_spelling() {
        let spellings: [(&str, Misspelt); 32] = [
            (" {}", KEY),
            ("{} ", KEY),
            ("\t{}", KEY),
            ("{}\n", KEY),
            ("\"{}\"", KEY),
            ("'{}'", KEY),
            ("\"{}", KEY),
            ("`{}`", KEY),
            ("\u{201c}{}\u{201d}", KEY),
            ("\u{a0}{}", KEY),
            ("\u{200b}{}", KEY),
            ("\u{feff}{}", KEY),
            ("etl:{}\u{ad}", KEY),
            ("<{}>", KEY),
            ("({})", KEY),
            ("[{}]", KEY),
            ("{},", KEY),
            ("{};", KEY),
            ("etl:{}", KEY),
            (":{}", KEY),
            ("{}:", KEY),
            ("etl: {}", KEY),
            ("Bearer {}", KEY),
            ("bearer {}", KEY),
            ("Basic {}", KEY),
            ("Token {}", KEY),
            ("Bearer: {}", KEY),
            ("PREFECT_API_AUTH_STRING={}", KEY),
            ("export PREFECT_API_AUTH_STRING='etl:{}'", KEY),
            ("Authorization: Bearer {}", KEY),
            ("X-Api-Key: {}", KEY),
            ("{{\"token\": \"{}\"}}", KEY),
        ];
        for (spelling, wanted) in spellings {
            let spelt = spelling.replace("{}", KEY_TEXT);
            assert_eq!(Misspelt::of(spelt.as_bytes()), Some(wanted), "{spelt}");
            let personal = spelling.replace("{}", "lt_0123456789abcdefghijklmnop");
            assert_eq!(Misspelt::of(personal.as_bytes()), Some(wanted), "{personal}");
            let upper = spelt.to_uppercase();
            assert_eq!(Misspelt::of(upper.as_bytes()), Some(wanted), "{upper}");
            let jwt = spelling.replace("{}", JWT_TEXT);
            assert_eq!(Misspelt::of(jwt.as_bytes()), Some(JWT), "{jwt}");
            let encoded: String = spelt.bytes().map(|byte| format!("%{byte:02X}")).collect();
            assert_eq!(Misspelt::of(encoded.as_bytes()), Some(wanted), "{encoded}");
            let twice = encoded.replace('%', "%25");
            assert_eq!(Misspelt::of(twice.as_bytes()), Some(wanted), "{twice}");
        }
    }

    #[test]
    fn characters_that_cannot_be_seen_hide_no_key() {
        for hidden in ['\u{ad}', '\u{200b}', '\u{2060}', '\u{202e}', '\u{feff}', '\u{7f}', '\u{e9}']
        {
            for at in 1..12 {
                let (before, after) = KEY_TEXT.split_at(at);
                let spelt = format!("{before}{hidden}{after}");
                assert_eq!(Misspelt::of(spelt.as_bytes()), Some(KEY), "{spelt:?}");
            }
        }
    }

    #[test]
    fn what_can_be_no_client_s_secret_is_refused() {
        for (text, wanted) in [
            ("Bearer something", HEADER),
            ("basic abc", HEADER),
            ("PREFECT_API_AUTH_STRING=etl:secret", HEADER),
            ("export X=y", HEADER),
            (" secret", NO_SECRET),
            ("secret ", NO_SECRET),
            ("secret\u{a0}", NO_SECRET),
            ("\u{200b}secret", NO_SECRET),
            ("sec\u{7f}ret", NO_SECRET),
        ] {
            assert_eq!(Misspelt::of(text.as_bytes()), Some(wanted), "{text}");
        }
    }

    #[test]
    fn secrets_of_clients_are_none_of_ours() {
        for secret in [
            "Jk3bPqZ7vXw2LmN9sTy5aBcDeFgHiJkL",
            "6f9619ff-8b86-d011-b42d-00cf4fc964ff",
            "abc8Q~lk_dEfGhIjKlMnOpQrStUvWxYz.-_",
            "p ss w rd",
            "correct horse battery staple",
            "100%",
            "%zz%4",
            "a=b:c,d",
            "bearer",
            "a:b%2B+c d\u{e9}&=",
            "~!@#$^&*()[]{}<>?/|\\\\",
            // Not quite the shape of a signed token.
            "my eyes.and.ears-of-mine",
            "my ey-is-how-this-secret-of-forty-letters-begins",
            "my three.long-parts-of-a-secret-that-is-no.json-in-base64url",
        ] {
            assert_eq!(Misspelt::of(secret.as_bytes()), None, "{secret}");
        }
    }
}
