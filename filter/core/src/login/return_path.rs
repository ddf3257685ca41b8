//! Return paths: where a login may end, which is a path on our own origin (RFC 9700 §4.11.1).

use crate::config::{Config, HttpUrl};
use crate::foundation::limits::RETURN_PATH;
use crate::wire::http::request::RequestView;
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

/// Returns the requested return path from the parameter `rd`: a path, or a URL of our own origin.
///
/// nginx passes `$request_uri` unencoded, so a value whose path begins with a slash extends to the
/// end of the query. Any other value is percent-decoded: ingress-nginx encodes the path alone.
#[must_use]
pub(crate) fn wish(query: Option<&str>, origin: &str) -> Option<String> {
    let query = query?;
    let value = query
        .strip_prefix("rd=")
        .or_else(|| query.find("&rd=").and_then(|at| query.get(at.saturating_add(4)..)))?;
    if value.strip_prefix(origin).unwrap_or(value).starts_with('/') {
        return Some(of_our_origin(value, origin)?.to_owned());
    }
    let decoded = crate::wire::http::query::only(query, "rd").ok().flatten()?;
    Some(of_our_origin(&decoded, origin)?.to_owned())
}

/// Returns the return path that a proxy in front names, by the headers that oauth2-proxy reads: the
/// whole in `X-Auth-Request-Redirect`, or the parts in `X-Forwarded-Proto`, `-Host` and `-Uri`.
///
/// The caller has checked that the proxy is trusted.
#[must_use]
pub(crate) fn told_by_proxy(request: RequestView<'_>, public: &HttpUrl) -> Option<String> {
    let is = |name, wanted: &str| !request.has(name) || request.text(name) == Some(wanted);
    if let Some(whole) = request.text("x-auth-request-redirect") {
        return of_our_origin(whole, public.origin()).map(str::to_owned);
    }
    let scheme = if public.https { "https" } else { "http" };
    let is_ours = is("x-forwarded-proto", scheme) && is("x-forwarded-host", &public.authority);
    let path = request.text("x-forwarded-uri").filter(|path| path.starts_with('/'))?;
    is_ours.then(|| path.to_owned())
}

/// Returns the path of a path or URL, if it is of our own origin.
fn of_our_origin<'a>(text: &'a str, origin: &str) -> Option<&'a str> {
    match text.strip_prefix(origin) {
        Some("") => Some("/"),
        Some(rest) => rest.starts_with('/').then_some(rest),
        None => Some(text),
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const ORIGIN: &str = "https://prefect.example.com";

    #[test]
    fn wishes_are_read_encoded_and_raw() {
        for (query, wanted) in [
            ("rd=/runs?a=b&c=d", Some("/runs?a=b&c=d")),
            ("rd=%2Fruns%3Fa%3Db", Some("/runs?a=b")),
            ("x=1&rd=/a", Some("/a")),
            ("rd=https://prefect.example.com/runs?a=b&c=d", Some("/runs?a=b&c=d")),
            ("rd=https%3A%2F%2Fprefect.example.com%2Fruns%3Fa%3Db&c=d", Some("/runs?a=b")),
            ("rd=https://prefect.example.com", Some("/")),
            ("rd=https://prefect.example.com%2Fruns%3Fa%3Db%26c%3Dd&e=f", Some("/runs?a=b&c=d")),
            ("rd=https://prefect.example.com%2eevil.example/", None),
            ("rd=https://prefect.example.com%40evil.example", None),
            ("rd=/runs?to=https://other.example/", Some("/runs?to=https://other.example/")),
            // Of another origin that begins like ours.
            ("rd=%2Fruns&x=https://prefect.example.com/b", Some("/runs")),
            ("rd=https://prefect.example.com.evil.example/", None),
            ("rd=https://prefect.example.com:8443/", None),
            ("rd=https://prefect.example.com@evil.example/", None),
            ("rd=https%3A%2F%2Fprefect.example.com%40evil.example", None),
            ("x=1", None),
        ] {
            assert_eq!(wish(Some(query), ORIGIN).as_deref(), wanted, "{query}");
        }
        assert_eq!(wish(None, ORIGIN), None);
    }

    #[test]
    fn a_trusted_proxy_names_the_page_as_oauth2_proxy_reads_it() {
        let public = HttpUrl::parse(ORIGIN).unwrap();
        let redirect = |value| ("x-auth-request-redirect", value);
        let (uri, host) = (("x-forwarded-uri", "/a?b=c"), "prefect.example.com");
        for (lines, wanted) in [
            (vec![redirect("/a?b=c")], Some("/a?b=c")),
            (vec![redirect("https://prefect.example.com/a?b=c")], Some("/a?b=c")),
            (vec![redirect("https://prefect.example.com.evil.example/")], None),
            (vec![redirect("/a?b=c"), ("x-forwarded-uri", "/other")], Some("/a?b=c")),
            (vec![uri], Some("/a?b=c")),
            (vec![uri, ("x-forwarded-host", host)], Some("/a?b=c")),
            (vec![uri, ("x-forwarded-host", "evil.example")], None),
            (vec![uri, ("x-forwarded-proto", "https")], Some("/a?b=c")),
            (vec![uri, ("x-forwarded-proto", "http")], None),
            (vec![("x-forwarded-uri", "https://evil.example/")], None),
            (vec![], None),
        ] {
            let headers: Vec<_> = lines
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
                .collect();
            let told = told_by_proxy(RequestView { headers: &headers }, &public);
            assert_eq!(told.as_deref(), wanted, "{lines:?}");
        }
    }
}
