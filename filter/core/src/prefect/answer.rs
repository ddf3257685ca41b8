//! What an answer of Prefect's looks like to the client.

use crate::config::Config;
use crate::decision::ResponseEdit;
use crate::http::request::ResponseView;

/// Headers by which Prefect would let other origins read: its default allows every origin.
const CORS: [&str; 6] = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-max-age",
];

/// Hygiene for an answer to a session: not for shared caches, not for frames elsewhere.
/// `asset` are hashed files, which everybody gets alike.
#[must_use]
pub fn for_session(
    answer: ResponseView<'_>,
    config: &Config,
    asset: bool,
    cookie: bool,
) -> ResponseEdit {
    let mut edit = for_machine(config);
    let caching = answer.header("cache-control").unwrap_or_default();
    if cookie {
        edit.set.push(("cache-control", "no-store".to_owned()));
    } else if !caching.contains("private") && !caching.contains("no-store") {
        // `public` and `s-maxage` are dropped with the old value; the rest stays.
        let kept = caching
            .split(',')
            .map(str::trim)
            .filter(|d| !d.is_empty() && *d != "public" && !d.starts_with("s-maxage"));
        let directives: Vec<&str> = core::iter::once("private").chain(kept).collect();
        edit.set.push(("cache-control", directives.join(", ")));
    }
    if !asset {
        edit.add.push(("vary", "Cookie, Authorization".to_owned()));
    }
    if !answer.header("content-security-policy").is_some_and(|csp| csp.contains("frame-ancestors"))
    {
        edit.add.push(("content-security-policy", "frame-ancestors 'self'".to_owned()));
    }
    edit
}

/// Hygiene for every forwarded answer.
#[must_use]
pub fn for_machine(config: &Config) -> ResponseEdit {
    let mut edit = ResponseEdit { remove: CORS.to_vec(), ..ResponseEdit::default() };
    edit.remove.push("www-authenticate");
    if config.hsts() {
        edit.set.push(("strict-transport-security", "max-age=31536000".to_owned()));
    }
    edit
}
