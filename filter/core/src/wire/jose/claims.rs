//! Checks for the claims of a verified token (RFC 7519 §4, OpenID Connect Core §2, §3.1.3.7).

use serde_json::{Map, Value};

use crate::foundation::limits::LEEWAY;
use crate::foundation::time::UnixTime;

/// The name in the place of a claim if the whole text can't be read.
const UNREADABLE: &str = "token";

/// Why claims are refused. All texts are fit for a log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    /// The name of the claim, or of another part of the token.
    pub(crate) claim: &'static str,
    /// The value of the claim, shortened; empty if it is missing or must not be shown.
    pub(crate) seen: String,
    /// The expected value.
    pub(crate) wanted: String,
}

impl Mismatch {
    /// Returns what was seen of a token of this kind, for a log line.
    #[must_use]
    pub(crate) fn of(&self, kind: &str) -> String {
        match (self.claim, self.seen.as_str()) {
            (UNREADABLE, why) => format!("{kind} {why}"),
            (claim, "") => format!("{kind} whose {claim} is missing or does not fit"),
            (claim, value) => format!("{kind} with {claim} {value}"),
        }
    }

    /// Creates the mismatch of a text that can't be read as a token.
    #[must_use]
    pub(crate) fn unreadable(why: &str) -> Self {
        Self {
            claim: UNREADABLE,
            seen: format!("({why})"),
            wanted: "a signed token (JWT)".to_owned(),
        }
    }

    /// Creates a mismatch. `seen` is the value of the claim, if log lines may show it.
    #[must_use]
    pub(crate) fn new(
        claim: &'static str,
        seen: Option<&Value>,
        wanted: impl Into<String>,
    ) -> Self {
        let seen = seen
            .map(|value| crate::foundation::log_text::shown(&value.to_string()))
            .unwrap_or_default();
        Self { claim, seen, wanted: wanted.into() }
    }
}

/// Returns the value of a string claim; `None` if it is missing or not a string.
#[must_use]
pub(crate) fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}

/// Checks that `iss` equals an issuer, byte by byte.
///
/// # Errors
/// When `iss` names another issuer, is missing, or is not a string.
pub(crate) fn issuer(claims: &Map<String, Value>, wanted: &str) -> Result<(), Mismatch> {
    if text(claims, "iss") == Some(wanted) {
        return Ok(());
    }
    Err(Mismatch::new("iss", claims.get("iss"), wanted))
}

/// Checks that `aud`, a string or an array of strings, contains one of the accepted audiences.
///
/// # Errors
/// When it contains no accepted audience, is missing, or has another type.
pub(crate) fn audience(claims: &Map<String, Value>, accepted: &[String]) -> Result<(), Mismatch> {
    let is_accepted = |name: &str| accepted.iter().any(|audience| audience == name);
    let found = match claims.get("aud") {
        Some(Value::String(one)) => is_accepted(one),
        Some(Value::Array(many)) => {
            many.iter().all(Value::is_string)
                && many.iter().filter_map(Value::as_str).any(is_accepted)
        }
        _ => false,
    };
    if found {
        return Ok(());
    }
    let wanted = match accepted {
        [] => "one of the setting audiences, which is empty".to_owned(),
        accepted => accepted.join(" or "),
    };
    Err(Mismatch::new("aud", claims.get("aud"), wanted))
}

/// The last second of the year 9999. A larger number is a time in another unit, such as
/// milliseconds.
const LAST: f64 = 253_402_300_799.0;

/// Returns a time in Unix seconds without its fraction (`NumericDate`, RFC 7519 §2).
///
/// Returns `None` for anything but a number, for a negative one and for one after the year 9999.
#[must_use]
pub(crate) fn numeric_date(value: &Value) -> Option<u64> {
    let seconds = value.as_f64().filter(|seconds| (0.0..=LAST).contains(seconds))?;
    // Whole below 2^53, and so exact.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = seconds as u64;
    Some(whole)
}

/// Returns a claim that is a time, if it is present.
fn time(claims: &Map<String, Value>, name: &'static str) -> Result<Option<u64>, Mismatch> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let wanted = "a number of seconds since 1970 (RFC 7519 section 2)";
    numeric_date(value).map(Some).ok_or_else(|| Mismatch::new(name, Some(value), wanted))
}

/// Checks `exp`, `nbf` and `iat` with [`LEEWAY`], and returns the time in `exp`.
///
/// `exp` is required, and so is `iat` if `iat_required` is set.
///
/// # Errors
/// When the token has expired or is not valid yet, or when a time is missing or not a number of
/// seconds.
pub(crate) fn times(
    claims: &Map<String, Value>,
    now: UnixTime,
    iat_required: bool,
) -> Result<UnixTime, Mismatch> {
    let now = now.secs();
    let exp = time(claims, "exp")?.filter(|exp| now < exp.saturating_add(LEEWAY));
    let exp = exp.ok_or_else(|| Mismatch::new("exp", claims.get("exp"), format!("after {now}")))?;
    for (name, required) in [("nbf", false), ("iat", iat_required)] {
        let is_reached = |at| at <= now.saturating_add(LEEWAY);
        if !time(claims, name)?.map_or(!required, is_reached) {
            return Err(Mismatch::new(name, claims.get(name), format!("at most {now}")));
        }
    }
    Ok(UnixTime::from_secs(exp))
}

/// Checks that a token is not a security event.
///
/// Logout tokens (OpenID Connect Back-Channel Logout §2.4) and other security events (RFC 8417
/// §2.2) state that something happened. They do not authenticate anyone.
///
/// # Errors
/// When there is a claim `events`.
pub(crate) fn not_an_event(claims: &Map<String, Value>) -> Result<(), Mismatch> {
    if claims.contains_key("events") {
        return Err(Mismatch::new("events", None, "no events (this is a logout token)"));
    }
    Ok(())
}

/// Returns the later of `nbf` and `iat`. Call it after [`times`] has checked both.
#[must_use]
pub(crate) fn not_before(claims: &Map<String, Value>) -> UnixTime {
    let at = |name| claims.get(name).and_then(numeric_date).unwrap_or(0);
    UnixTime::from_secs(at("nbf").max(at("iat")))
}

/// Returns the client that a token was issued to, as the claims with these names say; `None` if the
/// token has none of them.
///
/// # Errors
/// When one of these claims is not a name, or two of them differ.
pub(crate) fn client<'a>(
    claims: &'a Map<String, Value>,
    names: &[&'static str],
) -> Result<Option<&'a str>, Mismatch> {
    let mut client = None;
    for name in names.iter().copied() {
        let Some(value) = claims.get(name) else { continue };
        let named = value.as_str().filter(|text| !text.is_empty());
        if named.is_none() || client.is_some_and(|client| Some(client) != named) {
            return Err(Mismatch::new(name, Some(value), client.unwrap_or("the name of a client")));
        }
        client = named;
    }
    Ok(client)
}

/// Returns `sub`: 1 to 255 ASCII characters (OpenID Connect Core §2).
///
/// # Errors
/// When `sub` is missing, empty, too long, or not an ASCII string.
pub(crate) fn subject(claims: &Map<String, Value>) -> Result<&str, Mismatch> {
    text(claims, "sub")
        .filter(|sub| (1..=255).contains(&sub.len()) && sub.is_ascii())
        .ok_or_else(|| Mismatch::new("sub", claims.get("sub"), "1 to 255 ASCII characters"))
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn times_are_exact_at_both_edges() {
        let now = UnixTime::from_secs(10_000);
        let at = |claims: Value| times(&map(claims), now, true).is_ok();
        assert!(at(json!({"exp": 9941, "iat": 10_060})));
        assert!(!at(json!({"exp": 9940, "iat": 10_000})), "exp + 60 s has come");
        assert!(!at(json!({"exp": 10_300, "iat": 10_061})), "issued in the future");
        assert!(at(json!({"exp": 10_300, "iat": 1, "nbf": 10_060})));
        assert!(!at(json!({"exp": 10_300, "iat": 1, "nbf": 10_061})));
    }

    #[test]
    fn wrong_kinds_of_times_are_refused() {
        let now = UnixTime::from_secs(10_000);
        for bad in [
            json!(null),
            json!(""),
            json!("10300"),
            json!(-1),
            json!(-0.5),
            json!(10_300_000_000_000_u64),
            json!(1e300),
            json!(true),
            json!([]),
            json!({}),
        ] {
            let exp = map(json!({"exp": bad, "iat": 1}));
            assert_eq!(times(&exp, now, true).unwrap_err().claim, "exp", "{bad}");
            let iat = map(json!({"exp": 10_300, "iat": bad}));
            assert_eq!(times(&iat, now, true).unwrap_err().claim, "iat", "{bad}");
            let nbf = map(json!({"exp": 10_300, "iat": 1, "nbf": bad}));
            assert_eq!(times(&nbf, now, true).unwrap_err().claim, "nbf", "{bad}");
        }
        assert!(times(&map(json!({"exp": 10_300})), now, true).is_err(), "iat is required");
        assert!(times(&map(json!({"exp": 10_300})), now, false).is_ok());
        assert!(times(&map(json!({"iat": 1})), now, true).is_err(), "exp is required");
    }

    #[test]
    fn times_may_have_a_fraction_or_an_exponent() {
        let now = UnixTime::from_secs(10_000);
        for (exp, good) in [
            ("10300.5", true),
            ("1.03e4", true),
            ("103E2", true),
            ("9941.0", true),
            ("9940.9", false),
            ("253402300799", true),
            ("253402300800", false),
        ] {
            for iat in ["10000", "9999.5", "1e4", "0", "10060.9"] {
                let text = format!("{{\"exp\": {exp}, \"iat\": {iat}, \"nbf\": {iat}}}");
                let claims = map(serde_json::from_str(&text).unwrap());
                assert_eq!(times(&claims, now, true).is_ok(), good, "{text}");
            }
        }
        let expired = times(&map(json!({"exp": 1.5, "iat": 1})), now, true).unwrap_err();
        assert_eq!((expired.seen.as_str(), expired.wanted.as_str()), ("1.5", "after 10000"));
        let odd = times(&map(json!({"exp": "10300", "iat": 1})), now, true).unwrap_err();
        assert!(odd.wanted.starts_with("a number of seconds"), "{odd:?}");
    }

    #[test]
    fn audiences_and_issuers_are_compared_whole() {
        let ours = ["prefect".to_owned()];
        for (aud, good) in [
            (json!("prefect"), true),
            (json!(["x", "prefect"]), true),
            (json!("prefect2"), false),
            (json!([]), false),
            (json!([["prefect"]]), false),
            (json!(["prefect", 1]), false),
            (json!({"prefect": 1}), false),
            (json!(null), false),
        ] {
            assert_eq!(audience(&map(json!({"aud": aud})), &ours).is_ok(), good, "{aud}");
        }
        assert!(audience(&map(json!({})), &ours).is_err());
        for iss in [json!("https://i/"), json!("https://I"), json!(["https://i"]), json!(null)] {
            assert!(issuer(&map(json!({"iss": iss})), "https://i").is_err());
        }
    }

    #[test]
    fn subjects_are_bounded() {
        assert_eq!(subject(&map(json!({"sub": "a"}))), Ok("a"));
        for sub in [json!(""), json!("a".repeat(256)), json!("ä"), json!(1), json!(null)] {
            assert!(subject(&map(json!({"sub": sub}))).is_err(), "{sub}");
        }
    }
}
