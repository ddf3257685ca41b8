//! The URLs that settings hold: an origin and a path, nothing that could be read in two ways.

use core::fmt;

/// `scheme://host[:port][/path]`, normalised: lower-case, no default port, no trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpUrl {
    /// Whether the scheme is https.
    pub(crate) https: bool,
    /// Host and, unless it is the scheme's default, port.
    pub(crate) authority: String,
    /// Empty, or a path that begins with a slash and does not end with one.
    pub(crate) path: String,
    origin: String,
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.path)
    }
}

impl HttpUrl {
    /// Reads a URL; `None` when it is not of this plain form.
    #[must_use]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at_checked(at)?,
            None => (rest, ""),
        };
        let authority = normal_authority(authority, https)?;
        let path = path.strip_suffix('/').unwrap_or(path);
        let plain = path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-._~%".contains(&b));
        if !plain
            || (!path.is_empty()
                && crate::wire::http::target::Target::parse(path.as_bytes()).is_err())
        {
            return None;
        }
        let origin = format!("{}://{authority}", if https { "https" } else { "http" });
        Some(Self { https, authority, path: path.to_owned(), origin })
    }

    /// `scheme://authority`.
    #[must_use]
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// The host without its port, IPv6 in brackets.
    #[must_use]
    pub(crate) fn host(&self) -> &str {
        match self.authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => &self.authority,
        }
    }

    /// Whether the host names this machine itself.
    #[must_use]
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.host();
        host == "localhost"
            || host.ends_with(".localhost")
            || host.starts_with("127.")
            || host == "[::1]"
    }
}

/// `host[:port]` in lower case, without the scheme's default port; `None` when malformed.
#[must_use]
pub(crate) fn normal_authority(text: &str, https: bool) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text.as_str(), None),
    };
    let name = host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    let v6 = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .is_some_and(|h| h.parse::<core::net::Ipv6Addr>().is_ok());
    if host.is_empty() || !(name || v6) {
        return None;
    }
    let port = match port {
        Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => Some(port.parse::<u16>().ok()?),
        Some(_) => return None,
        None => None,
    };
    match port {
        Some(port) if port != if https { 443 } else { 80 } => Some(format!("{host}:{port}")),
        _ => Some(host.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn urls_are_normalised() {
        let url = HttpUrl::parse("HTTPS://Prefect.Example.com:443/Prefect/").unwrap();
        assert_eq!(url.origin(), "https://prefect.example.com");
        assert_eq!((url.path.as_str(), url.host()), ("/Prefect", "prefect.example.com"));
        assert_eq!(HttpUrl::parse("http://127.0.0.1:8080").unwrap().authority, "127.0.0.1:8080");
        assert!(HttpUrl::parse("http://a.localhost:1").unwrap().is_loopback());
        assert!(HttpUrl::parse("http://[::1]:1").unwrap().is_loopback());
        assert!(!HttpUrl::parse("http://localhost.evil").unwrap().is_loopback());
    }

    #[test]
    fn anything_that_reads_in_two_ways_is_refused() {
        for text in [
            "",
            "x",
            "ftp://a",
            "https://",
            "https://u@h",
            "https://h?q",
            "https://h#f",
            "https://h/a/../b",
            "https://h//a",
            "https://h:x",
            "https://h:99999",
            "https://h\\x",
            "https://h /",
            "https://[zz]",
        ] {
            assert_eq!(HttpUrl::parse(text), None, "{text}");
        }
    }
}
