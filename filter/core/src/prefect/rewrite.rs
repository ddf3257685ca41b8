//! Rewriting of the bodies of Prefect's responses.

use crate::config::Config;
use crate::foundation::limits::{MASKED_BODY, REWRITTEN_BODY};
use crate::prefect::masks::Mask;
use crate::prefect::place::Place;
use crate::prefect::{companion, ui_settings};
use crate::wire::http::request::{RequestView, ResponseView};

/// How the body of a response is rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rewrite {
    /// The body passes unchanged.
    Nothing,
    /// The settings document of the UI is rewritten as a whole.
    Settings,
    /// The companion's script is added at the beginning of a page of the UI.
    Page,
    /// The values that the client's role must not see are removed from an API response.
    Masked(Mask),
}

/// What to do with the held bytes of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rewritten {
    /// Hold them, since more bytes are needed.
    NotYet,
    /// Forward them and all later bytes unchanged.
    Same,
    /// Forward these bytes in their place, and all later bytes unchanged.
    Instead(Vec<u8>),
    /// Forward nothing.
    Nothing,
}

impl Rewrite {
    /// Returns how the response to a permitted request may be rewritten.
    ///
    /// `mask` is the permit's mask.
    #[must_use]
    pub(crate) fn of(
        request: RequestView<'_>,
        place: &Place<'_>,
        by_session: bool,
        mask: Option<Mask>,
        config: &Config,
    ) -> Self {
        if let Some(mask) = mask {
            Self::Masked(mask)
        } else if config.single_login && place.is_ui_settings() {
            Self::Settings
        } else if by_session && companion::may_be_page(request, place, config) {
            Self::Page
        } else {
            Self::Nothing
        }
    }

    /// Returns how a response is rewritten, given its headers.
    #[must_use]
    pub(crate) fn by_answer(self, answer: ResponseView<'_>) -> Self {
        let applies = match self {
            Self::Nothing => false,
            Self::Settings => answer.status() == 200 && is_plain(answer),
            Self::Page => answer.status() == 200 && companion::is_page(answer) && is_plain(answer),
            // Even an unreadable response must not pass unmasked. Only redirects and errors pass,
            // since they contain no such values.
            Self::Masked(_) => !(300..600).contains(&answer.status()),
        };
        if applies { self } else { Self::Nothing }
    }

    /// Returns the length that a response states, if it is too long to be masked.
    #[must_use]
    pub(crate) fn too_long(self, answer: ResponseView<'_>) -> Option<usize> {
        let length = answer.header("content-length")?.parse().ok()?;
        (matches!(self, Self::Masked(_)) && length > MASKED_BODY).then_some(length)
    }

    /// Returns the `cache-control` value of a rewritten response, or `None` for an unchanged one.
    ///
    /// Prefect's length, entity tag and date describe the original body, so caches must not rely on
    /// them.
    #[must_use]
    pub(crate) const fn caching(self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Settings | Self::Masked(_) => Some("no-store"),
            Self::Page => Some("private, no-cache"),
        }
    }

    /// Rewrites the held bytes of a body. `end` says whether they are the whole body.
    ///
    /// A settings document or a beginning of a page above [`REWRITTEN_BODY`] bytes passes
    /// unchanged. A masked response above [`MASKED_BODY`] bytes is not forwarded.
    #[must_use]
    pub(crate) fn apply(self, held: &[u8], end: bool, config: &Config) -> Rewritten {
        if let Self::Masked(mask) = self {
            return match held.len() {
                length if length > MASKED_BODY => Rewritten::Nothing,
                _ if !end => Rewritten::NotYet,
                _ => mask.apply(held).map_or(Rewritten::Nothing, Rewritten::Instead),
            };
        }
        let too_long = held.len() > REWRITTEN_BODY;
        let instead = match self {
            Self::Nothing | Self::Masked(_) => None,
            Self::Settings if too_long => None,
            Self::Settings if !end => return Rewritten::NotYet,
            Self::Settings => ui_settings::rewrite(held, config),
            // A first piece above the limit may nevertheless contain the page's head.
            Self::Page => match companion::linked(held, config) {
                None if !end && !too_long => return Rewritten::NotYet,
                linked => linked,
            },
        };
        instead.map_or(Rewritten::Same, Rewritten::Instead)
    }
}

/// Returns whether a body is uncompressed.
///
/// Lictor requests uncompressed bodies. A server may send a compressed one nevertheless.
fn is_plain(answer: ResponseView<'_>) -> bool {
    answer.header("content-encoding").map_or(!answer.has("content-encoding"), |coding| {
        coding.is_empty() || coding.eq_ignore_ascii_case("identity")
    })
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::config::example::config;

    /// Returns what a rewrite makes of a body that arrives in pieces of this many bytes.
    fn through(rewrite: Rewrite, body: &[u8], piece: usize) -> Vec<u8> {
        let config = config();
        let (mut out, mut held, mut done) = (Vec::new(), Vec::new(), false);
        let count = body.len().div_ceil(piece).max(1);
        for number in 0..count {
            let part = body.chunks(piece).nth(number).unwrap_or_default();
            if done {
                out.extend_from_slice(part);
                continue;
            }
            held.extend_from_slice(part);
            match rewrite.apply(&held, number + 1 == count, &config) {
                Rewritten::NotYet => continue,
                Rewritten::Same => out.append(&mut held),
                Rewritten::Instead(bytes) => out.extend(bytes),
                Rewritten::Nothing => panic!("cut"),
            }
            done = true;
        }
        assert!(done, "something is held for ever");
        out
    }

    #[test]
    fn settings_are_rewritten_whole_or_not_at_all() {
        for piece in [1, 7, 1 << 20] {
            let good = br#"{"auth":"BASIC","api_url":"http://127.0.0.1:4200/api","flags":[1]}"#;
            let rewritten = through(Rewrite::Settings, good, piece);
            let rewritten: serde_json::Value = serde_json::from_slice(&rewritten).unwrap();
            let wanted = serde_json::json!({"auth": null, "api_url": "/api", "flags": [1]});
            assert_eq!(rewritten, wanted);
            let large = [b"{\"a\":\"", "x".repeat(REWRITTEN_BODY).as_bytes(), b"\"}"].concat();
            for odd in [
                b"".as_slice(),
                b"not JSON",
                b"[1,2]",
                b"{\"auth\":\"BASIC\"",
                b"{\"auth\":1,\"auth\":2}",
                b"\x1f\x8b\x08\x00\x00",
                &large,
            ] {
                assert_eq!(through(Rewrite::Settings, odd, piece), odd);
            }
        }
    }

    #[test]
    fn a_page_is_linked_once_whatever_its_pieces() {
        let page = format!("<!doctype html><html><head>{}<head></html>", "x".repeat(100_000));
        let whole = through(Rewrite::Page, page.as_bytes(), 1 << 20);
        let text = String::from_utf8(whole.clone()).unwrap();
        assert_eq!(text.matches("/companion.js").count(), 1);
        assert!(text.len() > page.len());
        for piece in [1, 3, 4096] {
            assert_eq!(through(Rewrite::Page, page.as_bytes(), piece), whole, "{piece}");
        }
    }

    #[test]
    fn a_page_without_a_head_passes_unchanged() {
        let headless = "y".repeat(10 * 1024 * 1024);
        for page in ["", "<p>", headless.as_str()] {
            assert_eq!(through(Rewrite::Page, page.as_bytes(), 16 * 1024), page.as_bytes());
        }
    }

    #[test]
    fn only_answers_that_can_be_read_are_rewritten() {
        let by = |rewrite: Rewrite, lines: &[(&str, &str)]| {
            let headers: Vec<_> = lines
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
                .collect();
            rewrite.by_answer(ResponseView { headers: &headers }) == rewrite
        };
        let ok = (":status", "200");
        let html = ("content-type", "text/html; charset=utf-8");
        let gzip = ("content-encoding", "gzip");
        assert!(by(Rewrite::Page, &[ok, html]));
        assert!(by(
            Rewrite::Page,
            &[ok, ("content-type", "TEXT/HTML"), ("content-encoding", "identity")]
        ));
        for lines in [
            vec![ok],
            vec![(":status", "304"), html],
            vec![(":status", "206"), html],
            vec![(":status", "404"), html],
            vec![ok, ("content-type", "text/htmlx")],
            vec![ok, ("content-type", "application/json")],
            vec![ok, html, gzip],
            vec![ok, html, ("content-encoding", "br, identity")],
        ] {
            assert!(!by(Rewrite::Page, &lines), "{lines:?}");
        }
        assert!(by(Rewrite::Settings, &[ok]));
        assert!(
            !by(Rewrite::Settings, &[ok, gzip]) && !by(Rewrite::Settings, &[(":status", "404")])
        );
        // A response that must be masked is rewritten regardless of its headers.
        for lines in [vec![ok], vec![ok, gzip], vec![(":status", "206"), html]] {
            assert!(by(Rewrite::Masked(Mask::BlockData), &lines), "{lines:?}");
        }
        assert!(!by(Rewrite::Masked(Mask::BlockData), &[(":status", "404")]));
        for unreadable in [vec![], vec![(":status", "x")]] {
            assert!(by(Rewrite::Masked(Mask::BlockData), &unreadable));
        }
    }
}
