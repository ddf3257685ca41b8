//! What an answer of Prefect's looks like to the client.

use crate::config::Config;
use crate::prefect::place::Content;
use crate::wire::http::edit::HeaderEdit;
use crate::wire::http::request::ResponseView;

/// Headers by which Prefect would let other origins read (its default allows every origin), and the
/// one by which it would ask for a password.
const REMOVED: [&str; 7] = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-max-age",
    "www-authenticate",
];

/// Hygiene for an answer to a session: not for shared caches, not for frames elsewhere.
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
        edit.add.push(("vary", b"Cookie, Authorization".to_vec()));
    }
    if content == Content::Description {
        // Foreign scripts, from whom nobody vouches for, would act as the person who looks at it.
        edit.add.push(("content-security-policy", b"sandbox allow-scripts".to_vec()));
    }
    if !answer.header("content-security-policy").is_some_and(|csp| csp.contains("frame-ancestors"))
    {
        edit.add.push(("content-security-policy", b"frame-ancestors 'self'".to_vec()));
    }
    edit
}

/// Where Prefect sends the client: it makes absolute addresses of the host that it was asked by, and of
/// `http` unless it believes whoever is in front of it.
fn location(answer: ResponseView<'_>, config: &Config) -> Option<String> {
    if !config.public.https {
        return None;
    }
    let rest = answer.header("location")?.strip_prefix("http://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    let ours =
        host == config.public.authority || config.machines.hosts.iter().any(|own| own == host);
    ours.then(|| format!("https://{rest}"))
}

/// `public` and `s-maxage` are dropped; the rest stays.
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

/// Hygiene for every forwarded answer.
#[must_use]
pub(crate) fn for_machine(answer: ResponseView<'_>, config: &Config) -> HeaderEdit {
    // Taking away what is not there costs a call of the host's for each name.
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
