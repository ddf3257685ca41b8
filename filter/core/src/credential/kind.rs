//! The kind of a credential, by the beginning of its text.
//!
//! Other modules ask [`Kind::of`], so that a mistyped key is never tried as another kind.

use crate::credential::{api_key, personal_token};
use crate::foundation::secret::SecretRef;
use crate::wire::http::authorization::{self, Presented, name_and_secret};
use crate::wire::jose::compact::looks_like_token;

/// A kind of credential that needs no name beside it, or [`Kind::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An API key, `lk_…`.
    ApiKey,
    /// A personal token, `lt_…`.
    PersonalToken,
    /// A JSON Web Token in compact form.
    Jwt,
    /// Anything else: a password, a client secret, or a mistake.
    Other,
}

impl Kind {
    /// Returns the kind of a credential's text.
    #[must_use]
    pub(crate) fn of(text: &[u8]) -> Self {
        if text.starts_with(api_key::PREFIX) {
            Self::ApiKey
        } else if text.starts_with(personal_token::PREFIX) {
            Self::PersonalToken
        } else if looks_like_token(text) {
            Self::Jwt
        } else {
            Self::Other
        }
    }
}

/// Returns the credential in the `token` member of a socket's auth message.
///
/// The member takes every form that a header takes. Returns `None` for a text of another form.
#[must_use]
pub(crate) fn in_auth_message(token: &str) -> Option<Presented<'_>> {
    let bytes = token.as_bytes();
    match Kind::of(bytes) {
        Kind::ApiKey => Some(Presented::ApiKey(SecretRef::new(bytes))),
        Kind::PersonalToken | Kind::Jwt => Some(Presented::Bearer(SecretRef::new(bytes))),
        // A text without a colon may be an opaque token.
        Kind::Other => name_and_secret(bytes).or_else(|_| authorization::bearer(bytes)).ok(),
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn an_auth_message_takes_every_form() {
        let of = |token: &'static str| match in_auth_message(token) {
            Some(Presented::ApiKey(_)) => "key",
            Some(Presented::Bearer(_)) => "bearer",
            Some(Presented::Basic { .. }) => "basic",
            None => "none",
        };
        for (token, wanted) in [
            ("lk_x", "key"),
            ("lt_x", "bearer"),
            ("etl:lk_x", "basic"),
            ("admin:pw", "basic"),
            ("nocolon", "bearer"),
            ("no colon", "none"),
            ("", "none"),
        ] {
            assert_eq!(of(token), wanted, "{token}");
        }
    }
}
