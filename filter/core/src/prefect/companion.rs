//! The companion: one small script of ours, linked from the pages of Prefect's UI. It says who is signed
//! in, and brings people back when their session has ended.

use crate::config::Config;
use crate::foundation::crypto::{sha256, to_base64url};
use crate::prefect::place::Place;
use crate::wire::http::client::ClientKind;
use crate::wire::http::request::{RequestView, ResponseView};

/// The script itself.
pub(crate) const SCRIPT: &str = include_str!("companion.js");

/// Whether a request may be for a page of the UI. Scripts ask for no pages, and nobody asks for one by
/// `HEAD` but to know what `GET` would say.
#[must_use]
pub(crate) fn may_be_page(request: RequestView<'_>, place: &Place<'_>, config: &Config) -> bool {
    let asked = ClientKind::of(request) == ClientKind::Navigation || request.method() == "HEAD";
    config.companion && asked && place.may_be_page()
}

/// Whether an answer is a page.
#[must_use]
pub(crate) fn is_page(answer: ResponseView<'_>) -> bool {
    let kind = answer.header("content-type").unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/html")
}

/// The beginning of a page, with the link in its head; `None` if the head has not begun there.
#[must_use]
pub(crate) fn linked(begin: &[u8], config: &Config) -> Option<Vec<u8>> {
    let at = after_head_tag(begin)?;
    let (before, after) = begin.split_at_checked(at)?;
    // First in the head, and so before every script of Prefect's, whose requests it watches.
    let link = format!("<script defer src=\"{}\"></script>", address(config));
    Some([before, link.as_bytes(), after].concat())
}

/// Where the script is; another script has another address, so that it can be kept for long.
fn address(config: &Config) -> String {
    format!("{}/companion.js?v={}", config.endpoints, version())
}

/// Names this very script.
#[must_use]
pub(crate) fn version() -> String {
    let digest = to_base64url(&sha256(SCRIPT.as_bytes()));
    digest.chars().take(16).collect()
}

/// Where the tag `<head>` ends.
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
