//! What a verified token says, by kind of token (RFC 7519 §4, OpenID Connect Core §2, §3.1.3.7).

use serde_json::{Map, Value};

use crate::foundation::limits::LEEWAY;
use crate::foundation::time::UnixTime;

/// Why claims are refused: which one, what was seen and what was wanted, fit for a log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    /// The claim.
    pub(crate) claim: &'static str,
    /// What it says, shortened; empty when it is missing.
    pub(crate) seen: String,
    /// What it should say.
    pub(crate) wanted: String,
}

impl Mismatch {
    /// A mismatch of a claim that may be shown.
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

/// A string claim.
#[must_use]
pub(crate) fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}

/// `iss`: compared as text, without any leniency.
///
/// # Errors
/// When it is another one, missing, or no string.
pub(crate) fn issuer(claims: &Map<String, Value>, wanted: &str) -> Result<(), Mismatch> {
    if text(claims, "iss") == Some(wanted) {
        return Ok(());
    }
    Err(Mismatch::new("iss", claims.get("iss"), wanted))
}

/// `aud`: a string or an array of strings, of which one must be ours.
///
/// # Errors
/// When none is, or it is missing or of another type.
pub(crate) fn audience(claims: &Map<String, Value>, ours: &[String]) -> Result<(), Mismatch> {
    let is_ours = |name: &str| ours.iter().any(|our| our == name);
    let found = match claims.get("aud") {
        Some(Value::String(one)) => is_ours(one),
        Some(Value::Array(many)) => {
            many.iter().all(Value::is_string) && many.iter().filter_map(Value::as_str).any(is_ours)
        }
        _ => false,
    };
    if found { Ok(()) } else { Err(Mismatch::new("aud", claims.get("aud"), ours.join(" or "))) }
}

/// Whole seconds; a float, a negative number or a string is none.
fn seconds(claims: &Map<String, Value>, name: &str) -> Option<u64> {
    claims.get(name).and_then(Value::as_u64)
}

/// `exp` (required), `nbf` and `iat` with the leeway of [`LEEWAY`]; gives the end.
///
/// # Errors
/// When the token is over, not yet valid, or a time is missing or no whole number of seconds.
pub(crate) fn times(
    claims: &Map<String, Value>,
    now: UnixTime,
    iat_required: bool,
) -> Result<UnixTime, Mismatch> {
    let now = now.secs();
    let exp = seconds(claims, "exp").filter(|exp| now < exp.saturating_add(LEEWAY));
    let exp = exp.ok_or_else(|| Mismatch::new("exp", claims.get("exp"), format!("after {now}")))?;
    for (name, required) in [("nbf", false), ("iat", iat_required)] {
        let reached = match claims.get(name) {
            None => !required,
            Some(_) => seconds(claims, name).is_some_and(|at| at <= now.saturating_add(LEEWAY)),
        };
        if !reached {
            return Err(Mismatch::new(name, claims.get(name), format!("at most {now}")));
        }
    }
    Ok(UnixTime::from_secs(exp))
}

/// Logout tokens (OpenID Connect Back-Channel Logout §2.4) and other security events (RFC 8417 §2.2)
/// say that something happened, not who somebody is.
///
/// # Errors
/// When there is a claim `events`.
pub(crate) fn not_an_event(claims: &Map<String, Value>) -> Result<(), Mismatch> {
    if claims.contains_key("events") {
        return Err(Mismatch::new("events", None, "no events (this is a logout token)"));
    }
    Ok(())
}

/// The later of `nbf` and `iat`, for claims whose times have been checked.
#[must_use]
pub(crate) fn not_before(claims: &Map<String, Value>) -> UnixTime {
    let at = |name| seconds(claims, name).unwrap_or(0);
    UnixTime::from_secs(at("nbf").max(at("iat")))
}

/// `sub`: 1 to 255 ASCII characters (OpenID Connect Core §2).
///
/// # Errors
/// When it is missing, empty, too long or no such string.
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
            json!(10300.5),
            json!(-1),
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
