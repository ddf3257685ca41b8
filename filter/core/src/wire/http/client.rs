//! The kind of client, and whether a browser's request is same-origin (Fetch Metadata).
//!
//! Each question has an answer of its own. [`ClientKind::of`] says who reads the answer and whether
//! a login may start, [`loads_page`] says whether the response becomes a page, and [`is_ours`] says
//! whether a cookie is accepted.

use crate::wire::http::request::RequestView;

/// The kind of client that reads the response. It determines the form of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientKind {
    /// A browser that loads a page at top level.
    Navigation,
    /// A browser on behalf of a page: a script, image, frame or prefetch.
    Fetch,
    /// A worker, CLI, CI job or script.
    Machine,
    /// A client that requests an upgrade, such as a WebSocket.
    Socket,
}

impl ClientKind {
    /// Determines the kind of client from the headers of a request.
    #[must_use]
    pub(crate) fn of(request: RequestView<'_>) -> Self {
        if request.has("upgrade") {
            Self::Socket
        } else if is_navigation(request) {
            Self::Navigation
        } else if is_browser(request) {
            Self::Fetch
        } else {
            Self::Machine
        }
    }
}

/// Returns whether a person loads a page with this request: at top level, and now.
fn is_navigation(request: RequestView<'_>) -> bool {
    let is_ahead = request.has("sec-purpose") || request.has("purpose") || request.has("x-moz");
    loads_page(request) && !is_ahead
}

/// Returns whether the response becomes a page at top level, perhaps later: browsers load pages
/// ahead.
#[must_use]
pub(crate) fn loads_page(request: RequestView<'_>) -> bool {
    if request.method() != "GET" {
        return false;
    }
    match (request.text("sec-fetch-mode"), request.text("sec-fetch-dest")) {
        (None, None) if !request.has("sec-fetch-mode") => {
            request.text("accept").is_some_and(|accept| accept.contains("text/html"))
        }
        (mode, dest) => mode == Some("navigate") && dest == Some("document"),
    }
}

/// Returns whether a request looks like a browser's, which would show a password dialog.
///
/// Older browsers and web views have no Fetch Metadata, and send `Origin` with few requests. This
/// decides about the form of an answer only.
fn is_browser(request: RequestView<'_>) -> bool {
    let begins = |name, with: &str| request.text(name).is_some_and(|value| value.starts_with(with));
    ["sec-fetch-mode", "sec-fetch-site", "origin", "cookie", "referer"]
        .iter()
        .any(|name| request.has(name))
        || begins("user-agent", "Mozilla/")
        || begins("accept", "image/")
        || begins("accept", "text/css")
}

/// Returns whether a request with nothing but a Basic password may be a browser's, which attaches
/// the password of an earlier site at this address to every request.
#[must_use]
pub(crate) fn may_be_leftover(request: RequestView<'_>, origin: &str) -> bool {
    let from_our_page = || {
        let referer = request.text("referer").and_then(|referer| referer.strip_prefix(origin));
        !request.has("sec-fetch-site") && referer.is_some_and(|path| path.starts_with('/'))
    };
    request.text("sec-fetch-site") == Some("same-origin")
        || is_browser(request) && loads_page(request)
        || from_our_page()
}

/// Returns whether a browser sent the request: machines send neither `Origin` nor Fetch Metadata.
#[must_use]
pub(crate) fn is_from_a_browser(request: RequestView<'_>) -> bool {
    request.headers.iter().any(|(name, _)| name == "origin" || name.starts_with("sec-fetch-"))
}

/// Returns whether a browser says that a page of another origin made it send the request.
///
/// Programs that are no browsers send no `Sec-Fetch-Site`, and no `Origin` or that of the host that
/// they ask. `origin` is the origin of the public URL.
#[must_use]
pub(crate) fn is_of_another_page(request: RequestView<'_>, origin: &str) -> bool {
    let asked = request.text(":authority").unwrap_or_default();
    let from = request.text("origin").and_then(|from| from.split_once("://"));
    let is_of_host = !request.has("sec-fetch-site") && from.is_some_and(|(_, host)| host == asked);
    (request.has("sec-fetch-site") || request.has("origin"))
        && !is_of_host
        && !is_from_our_page(request, origin)
}

/// Returns whether a credential that browsers attach by themselves may authenticate this request.
///
/// Such credentials are cookies and client certificates. The request must come from a same-origin
/// page or directly from the user, or load a page at top level. Without Fetch Metadata and
/// `Origin`, only `GET` and `HEAD` are accepted. `origin` is the origin of the public URL.
#[must_use]
pub(crate) fn is_ours(request: RequestView<'_>, origin: &str) -> bool {
    let safe = matches!(request.method(), "GET" | "HEAD");
    if request.has("sec-fetch-site") {
        return match request.text("sec-fetch-site") {
            Some("same-origin" | "none") => true,
            Some("same-site" | "cross-site") => {
                safe && request.text("sec-fetch-mode") == Some("navigate")
                    && request.text("sec-fetch-dest") == Some("document")
            }
            _ => false,
        };
    }
    if request.has("origin") {
        return request.text("origin") == Some(origin);
    }
    safe
}

/// Returns whether a browser states that the request comes from a same-origin page or directly
/// from the user.
#[must_use]
pub(crate) fn is_from_our_page(request: RequestView<'_>, origin: &str) -> bool {
    if request.has("sec-fetch-site") {
        return matches!(request.text("sec-fetch-site"), Some("same-origin" | "none"));
    }
    request.text("origin") == Some(origin)
}

/// Returns whether the headers alone, without the method, show that a browser loads a page with
/// `GET`.
///
/// A subrequest of another proxy has the headers of the original request, but not its method.
/// Browsers that send Fetch Metadata send `Origin` with every request of another method, `null` if
/// need be (Fetch §3.2). A form that is posted has a `Content-Type`.
#[must_use]
pub(crate) fn shows_get_of_page(request: RequestView<'_>) -> bool {
    request.text("sec-fetch-mode") == Some("navigate")
        && request.text("sec-fetch-dest") == Some("document")
        && !["origin", "content-type", "transfer-encoding"].iter().any(|name| request.has(name))
        && (!request.has("content-length") || request.text("content-length") == Some("0"))
}

/// Returns whether a page load may have an effect, such as a sign-out.
///
/// It must come from a same-origin page or directly from the user, never from a link on another
/// site, an image or a frame.
#[must_use]
pub(crate) fn is_deliberate_navigation(request: RequestView<'_>) -> bool {
    is_navigation(request) && matches!(request.text("sec-fetch-site"), Some("same-origin" | "none"))
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn headers(lines: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
        lines.iter().map(|(n, v)| ((*n).to_owned(), v.as_bytes().to_vec())).collect()
    }

    fn kind(lines: &[(&str, &str)]) -> ClientKind {
        ClientKind::of(RequestView { headers: &headers(lines) })
    }

    #[test]
    fn clients_are_told_apart() {
        use ClientKind::{Fetch, Machine, Navigation, Socket};
        let get = (":method", "GET");
        let nav = ("sec-fetch-mode", "navigate");
        assert_eq!(kind(&[get, nav, ("sec-fetch-dest", "document")]), Navigation);
        assert_eq!(kind(&[get, ("accept", "text/html,*/*")]), Navigation);
        assert_eq!(kind(&[get, nav, ("sec-fetch-dest", "iframe"), ("accept", "text/html")]), Fetch);
        assert_eq!(kind(&[get, ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")]), Fetch);
        assert_eq!(
            kind(&[get, nav, ("sec-fetch-dest", "document"), ("sec-purpose", "prefetch")]),
            Fetch
        );
        assert_eq!(kind(&[(":method", "POST"), nav, ("sec-fetch-dest", "document")]), Fetch);
        assert_eq!(kind(&[get, ("accept", "*/*")]), Machine);
        assert_eq!(kind(&[get, ("upgrade", "websocket")]), Socket);
    }

    const CHROME: &str =
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/141.0.0.0 Safari/537.36";
    const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0";
    const SAFARI_15: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/15.6 Safari/605.1.15";
    const HTML: (&str, &str) =
        ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
    const ANY: (&str, &str) = ("accept", "*/*");
    const SITE: (&str, &str) = ("sec-fetch-site", "same-origin");
    const OURS: (&str, &str) = ("referer", "https://p.example/runs");

    /// May a login start? Does the response become a page? Does a 401 offer a password, as machines
    /// need it and browsers must not get it?
    #[test]
    fn each_question_about_a_browser_has_its_own_answer() {
        let document = ("sec-fetch-dest", "document");
        let navigate = ("sec-fetch-mode", "navigate");
        let cors = [("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty"), SITE];
        type Lines<'a> = &'a [(&'a str, &'a str)];
        let rows: &[(&str, &str, Lines<'_>, [bool; 3])] = &[
            (
                "Chrome, page",
                CHROME,
                &[HTML, navigate, document, ("sec-fetch-site", "none")],
                [true, true, false],
            ),
            (
                "Chrome, link elsewhere",
                CHROME,
                &[HTML, navigate, document, ("sec-fetch-site", "cross-site")],
                [true, true, false],
            ),
            (
                "Chrome, prerender",
                CHROME,
                &[HTML, navigate, document, SITE, ("sec-purpose", "prefetch;prerender")],
                [false, true, false],
            ),
            (
                "Chrome, prefetch",
                CHROME,
                &[
                    ANY,
                    ("sec-fetch-mode", "no-cors"),
                    ("sec-fetch-dest", "empty"),
                    ("purpose", "prefetch"),
                ],
                [false, false, false],
            ),
            (
                "Chrome, frame",
                CHROME,
                &[HTML, navigate, ("sec-fetch-dest", "iframe"), SITE],
                [false, false, false],
            ),
            ("Chrome, script", CHROME, &[ANY, cors[0], cors[1], cors[2]], [false, false, false]),
            (
                "Chrome, image",
                CHROME,
                &[
                    ("accept", "image/avif,image/webp,*/*;q=0.8"),
                    ("sec-fetch-mode", "no-cors"),
                    ("sec-fetch-dest", "image"),
                ],
                [false, false, false],
            ),
            (
                "Chrome, service worker",
                CHROME,
                &[
                    ANY,
                    ("sec-fetch-mode", "same-origin"),
                    ("sec-fetch-dest", "serviceworker"),
                    SITE,
                ],
                [false, false, false],
            ),
            (
                "Firefox, page",
                FIREFOX,
                &[HTML, navigate, document, ("sec-fetch-user", "?1")],
                [true, true, false],
            ),
            (
                "Firefox, prefetch",
                FIREFOX,
                &[HTML, navigate, document, ("x-moz", "prefetch")],
                [false, true, false],
            ),
            ("Safari 15, page", SAFARI_15, &[HTML], [true, true, false]),
            (
                "Safari 15, page with a session",
                SAFARI_15,
                &[HTML, ("cookie", "a=1")],
                [true, true, false],
            ),
            (
                "Safari 15, script without a session",
                SAFARI_15,
                &[("accept", "application/json"), OURS],
                [false, false, false],
            ),
            (
                "Safari 15, style",
                SAFARI_15,
                &[("accept", "text/css,*/*;q=0.1"), OURS],
                [false, false, false],
            ),
            ("Safari 15, touch icon", SAFARI_15, &[ANY], [false, false, false]),
            ("web view with a name of its own, page", "Works/4.2", &[HTML], [true, true, false]),
            (
                "web view with a name of its own, script",
                "Works/4.2",
                &[ANY, OURS],
                [false, false, false],
            ),
            (
                "web view with a name of its own, image",
                "Works/4.2",
                &[("accept", "image/webp,*/*")],
                [false, false, false],
            ),
            ("curl", "curl/8.14.1", &[ANY], [false, false, true]),
            (
                "curl that asks for a page",
                "curl/8.14.1",
                &[("accept", "text/html")],
                [true, true, false],
            ),
            ("Prefect's client", "prefect/3.8.8 (API 0.8.4)", &[ANY], [false, false, true]),
            ("httpx", "python-httpx/0.28.1", &[ANY], [false, false, true]),
            ("requests", "python-requests/2.32.5", &[ANY], [false, false, true]),
            ("Go", "Go-http-client/1.1", &[], [false, false, true]),
            ("wget", "Wget/1.25.0", &[ANY], [false, false, true]),
            ("Postman", "PostmanRuntime/7.49.0", &[ANY], [false, false, true]),
            ("a probe", "kube-probe/1.34", &[ANY], [false, false, true]),
        ];
        for (who, agent, lines, wanted) in rows {
            let lines = [&[(":method", "GET"), ("user-agent", agent)], *lines].concat();
            let all = headers(&lines);
            let view = RequestView { headers: &all };
            let kind = ClientKind::of(view);
            let seen =
                [kind == ClientKind::Navigation, loads_page(view), kind == ClientKind::Machine];
            assert_eq!(seen, *wanted, "{who}");
        }
    }

    #[test]
    fn an_old_password_is_told_from_a_machine_s() {
        let own = "https://p.example";
        for (lines, wanted) in [
            (vec![("sec-fetch-site", "same-origin")], true),
            (
                vec![
                    ("user-agent", CHROME),
                    HTML,
                    ("sec-fetch-mode", "navigate"),
                    ("sec-fetch-dest", "document"),
                ],
                true,
            ),
            (vec![("user-agent", SAFARI_15), HTML], true),
            (vec![("user-agent", SAFARI_15), ANY, OURS], true),
            (vec![("user-agent", SAFARI_15), ANY, ("referer", "https://p.example.evil/")], false),
            (vec![("user-agent", "curl/8.14.1"), ("accept", "text/html")], false),
            (vec![("user-agent", "python-httpx/0.28.1"), ANY], false),
            (vec![("sec-fetch-site", "cross-site"), OURS], false),
        ] {
            let lines = headers(&[vec![(":method", "GET")], lines].concat());
            assert_eq!(may_be_leftover(RequestView { headers: &lines }, own), wanted, "{lines:?}");
        }
    }

    #[test]
    fn a_cookie_counts_only_for_requests_that_are_ours() {
        const OWN: &str = "https://p.example";
        let verdict = |method: &str, extra: &[(&str, &str)]| {
            let mut lines = vec![(":method", method)];
            lines.extend_from_slice(extra);
            is_ours(RequestView { headers: &headers(&lines) }, OWN)
        };
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE"] {
            let safe = matches!(method, "GET" | "HEAD");
            for site in ["same-origin", "none"] {
                assert!(
                    verdict(method, &[("sec-fetch-site", site), ("origin", "null")]),
                    "{method} {site}"
                );
            }
            for site in ["same-site", "cross-site", "bogus", ""] {
                assert!(
                    !verdict(method, &[("sec-fetch-site", site), ("origin", OWN)]),
                    "{method} {site}"
                );
            }
            for site in ["same-site", "cross-site"] {
                let load = [
                    ("sec-fetch-site", site),
                    ("sec-fetch-mode", "navigate"),
                    ("sec-fetch-dest", "document"),
                ];
                assert_eq!(verdict(method, &load), safe, "{method} {site} page load");
                let frame = [
                    ("sec-fetch-site", site),
                    ("sec-fetch-mode", "navigate"),
                    ("sec-fetch-dest", "iframe"),
                ];
                assert!(!verdict(method, &frame), "{method} {site} frame");
            }
            assert!(verdict(method, &[("origin", OWN)]));
            for origin in ["null", "https://x.example", "https://p.example.evil", ""] {
                assert!(!verdict(method, &[("origin", origin)]), "{method} {origin}");
            }
            assert_eq!(verdict(method, &[]), safe, "{method} without proof");
        }
    }
}
