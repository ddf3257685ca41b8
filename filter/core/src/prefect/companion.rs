//! The companion: a small script that Lictor adds to the pages of Prefect's UI.
//!
//! It shows who is signed in, and starts a login when the session has ended (docs/companion.md).

use crate::config::Config;
use crate::foundation::crypto::{sha256, to_base64url};
use crate::prefect::place::{Content, Place};
use crate::wire::http::client::loads_page;
use crate::wire::http::request::{RequestView, ResponseView};

/// The source of the script.
pub(crate) const SCRIPT: &str = include_str!("companion.js");

/// Returns whether a request may be for a page of the UI that gets the script.
///
/// Pages that browsers load ahead are shown later, as they are. A `HEAD` request is included, since
/// its response must have the headers of the response to `GET`.
#[must_use]
pub(crate) fn may_be_page(request: RequestView<'_>, place: &Place<'_>, config: &Config) -> bool {
    let may_load = loads_page(request) || request.method() == "HEAD";
    // The sandbox of API descriptions keeps scripts of this origin out.
    let is_ui = place.may_be_page() && place.content() != Content::Description;
    config.companion && may_load && is_ui
}

/// Returns whether a response is an HTML page.
#[must_use]
pub(crate) fn is_page(answer: ResponseView<'_>) -> bool {
    let kind = answer.header("content-type").unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/html")
}

/// Returns the beginning of a page with the script's tag after `<head>`.
///
/// Returns `None` if the beginning contains no complete `<head>` tag.
#[must_use]
pub(crate) fn linked(begin: &[u8], config: &Config) -> Option<Vec<u8>> {
    let at = after_head_tag(begin)?;
    let (before, after) = begin.split_at_checked(at)?;
    // The script comes first in the head, since it observes the requests of all of Prefect's
    // scripts.
    let link = format!("<script defer src=\"{}\"></script>", address(config));
    Some([before, link.as_bytes(), after].concat())
}

/// Returns the URL path of the script.
///
/// It changes with the script's content, so that browsers can cache the script for a year.
fn address(config: &Config) -> String {
    format!("{}/companion.js?v={}", config.endpoints, version())
}

/// Returns the version of the script, the beginning of its SHA-256 as base64url.
#[must_use]
pub(crate) fn version() -> String {
    let digest = to_base64url(&sha256(SCRIPT.as_bytes()));
    digest.chars().take(16).collect()
}

/// Returns the index after the tag `<head>`.
fn after_head_tag(html: &[u8]) -> Option<usize> {
    const TAG: &[u8] = b"<head";
    let begins = html.windows(TAG.len().saturating_add(1)).position(|window| {
        let (tag, next) = window.split_at(TAG.len());
        let ends = next.first().is_some_and(|b| *b == b'>' || b.is_ascii_whitespace());
        ends && tag.eq_ignore_ascii_case(TAG)
    })?;
    let rest = html.get(begins..)?;
    let length = rest.iter().position(|byte| *byte == b'>')?;
    Some(begins.saturating_add(length).saturating_add(1))
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::config::example::config;

    #[test]
    fn the_link_stands_first_in_the_head() {
        for (html, wanted) in [
            ("<html><head><script>", "<html><head>LINK<script>"),
            ("<HTML>\n<HEAD lang='x'>\n<meta>", "<HTML>\n<HEAD lang='x'>LINK\n<meta>"),
            ("<head\n></head>", "<head\n>LINK</head>"),
        ] {
            let linked = String::from_utf8(linked(html.as_bytes(), &config()).unwrap()).unwrap();
            let link =
                format!("<script defer src=\"/oauth2/companion.js?v={}\"></script>", version());
            assert_eq!(linked.replace(&link, "LINK"), wanted);
        }
    }

    #[test]
    fn what_has_no_head_is_left_alone() {
        for html in ["", "<html><header>", "<head", "<headless>", "<h", "<html><body>", "&lt;head>"]
        {
            assert_eq!(linked(html.as_bytes(), &config()), None, "{html}");
        }
    }
}
