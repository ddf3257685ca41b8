//! URLs in settings: an origin and a path, in a form that has only one meaning.

use core::fmt;

/// A URL `scheme://host[:port][/path]`, normalized.
///
/// Scheme and host are in lower case. There is no default port and no trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpUrl {
    /// Whether the scheme is https.
    pub(crate) https: bool,
    /// The host, and the port unless it is the default of the scheme.
    pub(crate) authority: String,
    /// The path: empty, or with a leading and without a trailing slash.
    pub(crate) path: String,
    origin: String,
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.path)
    }
}

impl HttpUrl {
    /// Reads a URL; `None` if it does not have this plain form.
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

    /// Returns the URL with another path, which must have the form of [`Self::path`].
    #[must_use]
    pub(crate) fn with_path(&self, path: String) -> Self {
        Self { path, ..self.clone() }
    }

    /// Returns the origin: `scheme://authority`.
    #[must_use]
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the host without its port, an IPv6 address in brackets.
    #[must_use]
    pub(crate) fn host(&self) -> &str {
        match self.authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => &self.authority,
        }
    }

    /// Returns whether the host is a loopback name or address.
    #[must_use]
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.host();
        host == "localhost"
            || host.ends_with(".localhost")
            || host.starts_with("127.")
            || host == "[::1]"
    }
}

/// Normalizes `host[:port]`: lower case, without the default port of the scheme.
///
/// `None` if the text is malformed.
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
