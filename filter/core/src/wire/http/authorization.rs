//! The credential headers of machines: `Authorization` (RFC 9110 §11, RFC 6750, RFC 7617) and
//! `X-Api-Key`.

use crate::foundation::crypto::from_base64;
use crate::foundation::limits::TOKEN;
use crate::foundation::secret::{Secret, SecretRef};
use crate::wire::http::request::RequestView;

/// The credential that a request presents.
#[derive(Clone, Debug)]
pub(crate) enum Presented<'a> {
    /// `Authorization: Bearer …`.
    Bearer(SecretRef<'a>),
    /// `Authorization: Basic …`, split at the first colon (RFC 7617 §2).
    Basic {
        /// The text before the colon: a name, not a secret.
        user: String,
        /// The text after the colon.
        password: Secret,
    },
    /// `X-Api-Key: …`.
    ApiKey(SecretRef<'a>),
}

/// Why a credential can't be read. It contains no part of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// There is more than one credential (RFC 6750 §2).
    Several,
    /// The header value is longer than [`TOKEN`].
    TooLong,
    /// The scheme is neither Bearer nor Basic.
    Scheme,
    /// The scheme is known, but the credential does not have its syntax.
    Syntax,
}

/// The headers that present a credential.
pub(crate) const HEADERS: [&str; 2] = ["authorization", "x-api-key"];

/// The request headers that tell who asks, for caches (`Vary`, RFC 9110 §12.5.5).
pub(crate) const VARY: &str = "Cookie, Authorization, X-Api-Key";

fn is_credential(name: &str) -> bool {
    HEADERS.contains(&name)
}

/// Returns whether a request presents a credential, readable or not.
#[must_use]
pub(crate) fn is_presented(request: RequestView<'_>) -> bool {
    request.headers.iter().any(|(name, _)| is_credential(name))
}

/// Returns whether the only credential that a request presents is of the scheme Basic.
#[must_use]
pub(crate) fn is_only_basic(request: RequestView<'_>) -> bool {
    let mut lines = request.headers.iter().filter(|(name, _)| is_credential(name));
    let (Some((name, value)), None) = (lines.next(), lines.next()) else { return false };
    let scheme = value.get(..6).unwrap_or_default();
    name == "authorization" && scheme.eq_ignore_ascii_case(b"basic ")
}

/// Reads the credential of a request; `None` if the request has no such header.
///
/// # Errors
/// When there are several credentials, or the only one is malformed.
pub(crate) fn read(request: RequestView<'_>) -> Result<Option<Presented<'_>>, Malformed> {
    let mut lines = request.headers.iter().filter(|(name, _)| is_credential(name));
    let Some((name, value)) = lines.next() else { return Ok(None) };
    if lines.next().is_some() {
        return Err(Malformed::Several);
    }
    if value.len() > TOKEN {
        return Err(Malformed::TooLong);
    }
    // Envoy joins lines with the same name by a comma. No accepted credential contains a comma.
    if memchr::memchr(b',', value).is_some() {
        return Err(Malformed::Several);
    }
    match name.as_str() {
        "authorization" => scheme(value).map(Some),
        "x-api-key" => api_key(value).map(Some),
        // Each of `HEADERS` has an arm of its own.
        _ => Err(Malformed::Scheme),
    }
}

fn api_key(value: &[u8]) -> Result<Presented<'_>, Malformed> {
    let key = value.trim_ascii();
    if key.is_empty() {
        return Err(Malformed::Syntax);
    }
    Ok(Presented::ApiKey(SecretRef::new(key)))
}

fn scheme(value: &[u8]) -> Result<Presented<'_>, Malformed> {
    let value = value.trim_ascii();
    let at = value.iter().position(|b| *b == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at(at);
    let rest = rest.trim_ascii();
    if scheme.eq_ignore_ascii_case(b"bearer") {
        bearer(rest)
    } else if scheme.eq_ignore_ascii_case(b"basic") {
        basic(rest)
    } else {
        Err(Malformed::Scheme)
    }
}

/// Reads a bearer token, in the `b64token` syntax of RFC 6750 §2.1.
///
/// # Errors
/// When it is empty or contains a byte that the syntax does not allow.
pub(crate) fn bearer(token: &[u8]) -> Result<Presented<'_>, Malformed> {
    let body = token.trim_ascii_end();
    let fits = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
    };
    if body.is_empty() || !body.iter().all(fits) {
        return Err(Malformed::Syntax);
    }
    Ok(Presented::Bearer(SecretRef::new(body)))
}

/// Reads Basic credentials: the base64 form of `user:password` in UTF-8 (RFC 7617 §2).
///
/// # Errors
/// When it is not base64 or not UTF-8, contains a control character, or has no colon.
pub(crate) fn basic(token: &[u8]) -> Result<Presented<'static>, Malformed> {
    let pair = from_base64(token).ok_or(Malformed::Syntax)?;
    let pair = Secret::new(pair);
    name_and_secret(pair.expose())
}

/// Reads `user:password` in plain text, as in Prefect's settings and first socket frames.
///
/// # Errors
/// When it is not UTF-8, contains a control character, or has no colon.
pub(crate) fn name_and_secret(pair: &[u8]) -> Result<Presented<'static>, Malformed> {
    let text = core::str::from_utf8(pair).map_err(|_| Malformed::Syntax)?;
    // A secret that was written by `echo` ends in a line break.
    let text = text.trim_end_matches(['\r', '\n']);
    if text.chars().any(char::is_control) {
        return Err(Malformed::Syntax);
    }
    let (user, password) = match text.split_once(':') {
        Some(pair) => pair,
        // A header in `PREFECT_API_AUTH_STRING="Bearer …"`, which Prefect wraps in Basic. Module
        // `credential::verifier` reads it.
        None if is_header(text) => (text, ""),
        None => return Err(Malformed::Syntax),
    };
    Ok(Presented::Basic { user: user.to_owned(), password: Secret::new(password) })
}

/// Returns whether a text is the value of a header, with its scheme.
fn is_header(text: &str) -> bool {
    let scheme = text.split_once(' ').map(|(scheme, _)| scheme);
    scheme.is_some_and(|s| s.eq_ignore_ascii_case("bearer") || s.eq_ignore_ascii_case("basic"))
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn caches_know_every_header_with_a_credential() {
        let known = VARY.to_ascii_lowercase();
        let known: Vec<&str> = known.split(", ").collect();
        assert!(HEADERS.iter().all(|name| known.contains(name)), "{known:?}");
    }

    fn read_lines(lines: &[(&str, &[u8])]) -> Result<Option<Presented<'static>>, Malformed> {
        let headers: Vec<_> = lines.iter().map(|(n, v)| ((*n).to_owned(), v.to_vec())).collect();
        // The result borrows the headers. A test may leak them.
        read(RequestView { headers: headers.leak() })
    }

    #[test]
    fn each_form_is_read() {
        assert!(read_lines(&[]).unwrap().is_none());
        let Some(Presented::Bearer(t)) =
            read_lines(&[("authorization", b"bEARER  a.b-c ")]).unwrap()
        else {
            panic!("not a bearer token")
        };
        assert_eq!(t.expose(), b"a.b-c");
        // "etl:a:b": the first colon separates user and password.
        let Some(Presented::Basic { user, password }) =
            read_lines(&[("authorization", b"Basic ZXRsOmE6Yg==")]).unwrap()
        else {
            panic!("not Basic")
        };
        assert_eq!((user.as_str(), password.expose()), ("etl", b"a:b".as_slice()));
        assert!(matches!(read_lines(&[("x-api-key", b"lk_x")]), Ok(Some(Presented::ApiKey(_)))));
    }

    #[test]
    fn what_is_malformed_is_refused() {
        use Malformed::{Scheme, Several, Syntax, TooLong};
        let long = vec![b'a'; TOKEN + 1];
        type Lines<'a> = &'a [(&'a str, &'a [u8])];
        let cases: &[(Lines<'_>, Malformed)] = &[
            (&[("authorization", b"Bearer a"), ("authorization", b"Bearer a")], Several),
            (&[("authorization", b"Bearer a"), ("x-api-key", b"k")], Several),
            (&[("authorization", b"Basic eDp5,Basic eDp5")], Several),
            (&[("x-api-key", b"k,k")], Several),
            (&[("authorization", b"Digest a")], Scheme),
            (&[("authorization", b"")], Scheme),
            (&[("authorization", b"Bearer")], Syntax),
            (&[("authorization", b"Bearer a b")], Syntax),
            (&[("authorization", b"Bearer \xff")], Syntax),
            (&[("authorization", b"Basic a")], Syntax),
            (&[("authorization", b"Basic bm9jb2xvbg==")], Syntax),
            (&[("authorization", b"Basic /zpw")], Syntax),
            (&[("x-api-key", b" ")], Syntax),
            (&[("authorization", &long)], TooLong),
        ];
        for (lines, wanted) in cases {
            assert_eq!(read_lines(lines).unwrap_err(), *wanted, "{lines:?}");
        }
    }
}
