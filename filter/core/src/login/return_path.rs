//! Where a login may end: a path of our own origin, nothing else (RFC 9700 §4.11.1).

use crate::config::Config;
use crate::foundation::limits::RETURN_PATH;
use crate::wire::http::target::Target;

/// A checked return path, or the start of the UI when the wish is none.
///
/// The result is only ever emitted behind our own origin, so even a path that some browser reads
/// oddly stays ours; what could be read in two ways is dropped all the same.
#[must_use]
pub(crate) fn checked(wish: Option<&str>, config: &Config) -> String {
    wish.filter(|wish| is_ours(wish, config)).unwrap_or(config.home()).to_owned()
}

fn is_ours(wish: &str, config: &Config) -> bool {
    if wish.len() > RETURN_PATH {
        return false;
    }
    // A wish for one of our own endpoints would start a login or end a session at once.
    Target::parse(wish.as_bytes()).is_ok_and(|target| {
        let under = |path: &str| {
            target.path() == path
                || target.path().strip_prefix(path).is_some_and(|r| r.starts_with('/'))
        };
        !under(&config.endpoints)
    })
}

/// The wish in `rd=`. nginx hands on `$request_uri` unencoded, so everything behind `rd=` belongs
/// to it; a properly encoded value is decoded.
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
