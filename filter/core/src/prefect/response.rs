//! Changes to the headers of Prefect's responses.

use crate::config::Config;
use crate::prefect::place::Content;
use crate::wire::http::authorization;
use crate::wire::http::edit::HeaderEdit;
use crate::wire::http::request::ResponseView;

/// Response headers that are removed.
///
/// With the CORS headers Prefect would let other origins read responses; its default allows every
/// origin. With `www-authenticate` it would make browsers ask for a password.
const REMOVED: [&str; 7] = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-max-age",
    "www-authenticate",
];

/// Returns the header changes for the response to a request with a session.
///
/// Shared caches must not store it, and other sites must not frame it. `cookie` says whether the
/// response sets a cookie, so that no cache may store it at all.
#[must_use]
pub(crate) fn for_session(
    answer: ResponseView<'_>,
    config: &Config,
    content: Content,
    cookie: bool,
) -> HeaderEdit {
    let mut edit = for_machine(answer, config);
    let caching = answer.header("cache-control").unwrap_or_default();
    if cookie {
        edit.set.push(("cache-control", b"no-store".to_vec()));
    } else if !caching.contains("private") && !caching.contains("no-store") {
        edit.set.push(("cache-control", private(caching).into_bytes()));
    }
    if content != Content::Asset {
        edit.add.push(("vary", authorization::VARY.as_bytes().to_vec()));
    }
    if content == Content::Description {
        // API descriptions load scripts from other sites. Without the sandbox, these scripts could
        // act as the person who views the page.
        edit.add.push(("content-security-policy", b"sandbox allow-scripts".to_vec()));
    }
    if !answer.header("content-security-policy").is_some_and(|csp| csp.contains("frame-ancestors"))
    {
        edit.add.push(("content-security-policy", b"frame-ancestors 'self'".to_vec()));
    }
    edit
}

/// Returns the value for `location`, if Prefect redirects to one of our hosts by plain http.
///
/// Prefect builds absolute URLs from the request's host. Their scheme is `http` unless Prefect
/// trusts the proxy in front of it.
fn location(answer: ResponseView<'_>, config: &Config) -> Option<String> {
    if !config.public.https {
        return None;
    }
    let rest = answer.header("location")?.strip_prefix("http://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    let ours =
        host == config.public.authority || config.machines.hosts.iter().any(|known| known == host);
    ours.then(|| format!("https://{rest}"))
}

/// Returns a `cache-control` value as `private`, without `public` and `s-maxage`.
fn private(caching: &str) -> String {
    if caching.is_empty() {
        return "private".to_owned();
    }
    let kept = caching
        .split(',')
        .map(str::trim)
        .filter(|d| !d.is_empty() && *d != "public" && !d.starts_with("s-maxage"));
    let directives: Vec<&str> = core::iter::once("private").chain(kept).collect();
    directives.join(", ")
}

/// Returns the header changes for every forwarded response.
#[must_use]
pub(crate) fn for_machine(answer: ResponseView<'_>, config: &Config) -> HeaderEdit {
    // Removing a header costs a host call, even if the response does not have it.
    let remove = REMOVED.into_iter().filter(|name| answer.has(name)).map(Into::into).collect();
    let mut edit = HeaderEdit { remove, ..HeaderEdit::default() };
    if let Some(location) = location(answer, config) {
        edit.set.push(("location", location.into_bytes()));
    }
    if config.hsts() {
        edit.set.push(("strict-transport-security", b"max-age=31536000".to_vec()));
    }
    edit
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn what_is_there_is_taken_away_whatever_its_value() {
        let config = crate::config::example::config();
        let headers = [
            ("access-control-allow-origin".to_owned(), b"\xff".to_vec()),
            ("www-authenticate".to_owned(), b"Basic".to_vec()),
            ("content-type".to_owned(), b"text/html".to_vec()),
        ];
        let edit = for_machine(ResponseView { headers: &headers }, &config);
        assert_eq!(edit.remove, ["access-control-allow-origin", "www-authenticate"]);
    }

    #[test]
    fn prefect_s_redirects_fit_the_client() {
        let config = crate::config::example::config();
        let location = |value: &str| {
            let headers = [("location".to_owned(), value.as_bytes().to_vec())];
            location(ResponseView { headers: &headers }, &config)
        };
        let fits = "https://a.example/api/flows/filter".to_owned();
        assert_eq!(location("http://a.example/api/flows/filter"), Some(fits));
        for other in ["/v2/", "https://a.example/", "http://a.example.evil/", "http://b.example/"] {
            assert_eq!(location(other), None, "{other}");
        }
    }
}
