//! The kind of client, and whether a browser's request is same-origin (Fetch Metadata).

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
        } else if request.has("sec-fetch-mode")
            || request.has("sec-fetch-site")
            || request.has("origin")
            || request.has("cookie")
        {
            Self::Fetch
        } else {
            Self::Machine
        }
    }
}

/// Returns whether a request loads a page at top level: not a frame, not a prefetch.
fn is_navigation(request: RequestView<'_>) -> bool {
    if request.method() != "GET" || request.has("sec-purpose") || request.has("purpose") {
        return false;
    }
    match (request.text("sec-fetch-mode"), request.text("sec-fetch-dest")) {
        (None, None) if !request.has("sec-fetch-mode") => {
            request.text("accept").is_some_and(|accept| accept.contains("text/html"))
        }
        (mode, dest) => mode == Some("navigate") && dest == Some("document"),
    }
}

/// Returns whether a browser sent the request: machines send neither `Origin` nor Fetch Metadata.
#[must_use]
pub(crate) fn is_from_a_browser(request: RequestView<'_>) -> bool {
    request.headers.iter().any(|(name, _)| name == "origin" || name.starts_with("sec-fetch-"))
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
