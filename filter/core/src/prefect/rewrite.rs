//! Which bodies of Prefect's are rewritten on their way to a browser.

use crate::config::Config;
use crate::foundation::limits::{MASKED_BODY, REWRITTEN_BODY};
use crate::prefect::masks::Mask;
use crate::prefect::place::Place;
use crate::prefect::{companion, ui_settings};
use crate::wire::http::request::{RequestView, ResponseView};

/// What is rewritten of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rewrite {
    /// Nothing: it passes as it comes.
    Nothing,
    /// The settings of the UI, as a whole.
    Settings,
    /// A page of the UI: its beginning.
    Page,
    /// An answer of the API that holds more than whoever asks may have.
    Masked(Mask),
}

/// What becomes of what is held of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rewritten {
    /// More is needed.
    NotYet,
    /// It goes on as it is, and so does all that follows.
    Same,
    /// This goes on instead, and all that follows as it is.
    Instead(Vec<u8>),
    /// Nothing goes on.
    Nothing,
}

impl Rewrite {
    /// What may be rewritten of the answer to a permitted request. `mask` is what the permit withholds.
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

    /// What is rewritten of this answer.
    #[must_use]
    pub(crate) fn by_answer(self, answer: ResponseView<'_>) -> Self {
        let readable = match self {
            Self::Nothing => false,
            Self::Settings => answer.status() == 200 && is_plain(answer),
            Self::Page => answer.status() == 200 && companion::is_page(answer) && is_plain(answer),
            // Whatever it is: one that can't be read does not go on. Only of what is plainly no success
            // nothing of the kind is expected.
            Self::Masked(_) => !(300..600).contains(&answer.status()),
        };
        if readable { self } else { Self::Nothing }
    }

    /// How an answer may be kept that is rewritten: its length, its tag and its date are another's.
    #[must_use]
    pub(crate) const fn caching(self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Settings | Self::Masked(_) => Some("no-store"),
            Self::Page => Some("private, no-cache"),
        }
    }

    /// Rewrites what is held of a body; `end` says whether that is all of it. What is larger than any
    /// settings, or than the beginning of any page, goes on as it is rather than cut.
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
            // A long first piece may hold the head of the page all the same.
            Self::Page => match companion::linked(held, config) {
                None if !end && !too_long => return Rewritten::NotYet,
                linked => linked,
            },
        };
        instead.map_or(Rewritten::Same, Rewritten::Instead)
    }
}

/// Whether a body is not compressed. We ask for none that is; whoever sends one all the same is left alone.
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

    /// In pieces of so many bytes: what comes out, whatever the pieces.
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
            let told = through(Rewrite::Settings, good, piece);
            let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
            let wanted = serde_json::json!({"auth": null, "api_url": "/api", "flags": [1]});
            assert_eq!(told, wanted);
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
        // What must be masked is looked at, whatever it says of itself.
        for lines in [vec![ok], vec![ok, gzip], vec![(":status", "206"), html]] {
            assert!(by(Rewrite::Masked(Mask::BlockData), &lines), "{lines:?}");
        }
        assert!(!by(Rewrite::Masked(Mask::BlockData), &[(":status", "404")]));
        for unreadable in [vec![], vec![(":status", "x")]] {
            assert!(by(Rewrite::Masked(Mask::BlockData), &unreadable));
        }
    }
}
