//! Return paths: where a login may end, which is a path on our own origin (RFC 9700 §4.11.1).

use crate::config::Config;
use crate::foundation::limits::RETURN_PATH;
use crate::wire::http::target::Target;

/// Returns the requested path if it is an allowed return path, else the path without its query,
/// else the start page of the UI.
///
/// The path is always appended to our own origin, so that no browser can read it as another site.
/// Paths that could be read in two ways are refused nevertheless.
#[must_use]
pub(crate) fn checked(requested: Option<&str>, config: &Config) -> String {
    // A long query is lost, but not the page.
    let page = requested.and_then(|path| path.split_once('?')).map(|(page, _)| page);
    let mut known = [requested, page].into_iter().flatten();
    known.find(|path| is_allowed(path, config)).unwrap_or(config.home()).to_owned()
}

fn is_allowed(path: &str, config: &Config) -> bool {
    if path.len() > RETURN_PATH {
        return false;
    }
    // A return to one of our own endpoints would immediately start a login or end a session. The
    // page for personal tokens does neither.
    Target::parse(path.as_bytes()).is_ok_and(|target| {
        // As Envoy and Prefect read the path: an escape must not hide an endpoint.
        let rest = target.decoded().strip_prefix(&config.endpoints);
        let below = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let tokens = target.path().strip_prefix(&config.endpoints) == Some("/token");
        tokens || !below
    })
}

/// Returns the requested return path from the parameter `rd`.
///
/// nginx passes `$request_uri` unencoded, so a value that begins with `/` extends to the end of the
/// query. Any other value is percent-decoded.
#[must_use]
pub(crate) fn wish(query: Option<&str>) -> Option<String> {
    let query = query?;
    let value = query
        .strip_prefix("rd=")
        .or_else(|| query.find("&rd=").and_then(|at| query.get(at.saturating_add(4)..)))?;
    if value.starts_with('/') {
        return Some(value.to_owned());
    }
    crate::wire::http::query::only(query, "rd").ok().flatten().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn wishes_are_read_encoded_and_raw() {
        assert_eq!(wish(Some("rd=/runs?a=b&c=d")).as_deref(), Some("/runs?a=b&c=d"));
        assert_eq!(wish(Some("rd=%2Fruns%3Fa%3Db")).as_deref(), Some("/runs?a=b"));
        assert_eq!(wish(Some("x=1&rd=/a")).as_deref(), Some("/a"));
        assert_eq!(wish(Some("x=1")), None);
        assert_eq!(wish(None), None);
    }
}
