//! Names and attributes of our cookies, and the session cookie's way in and out.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use crate::config::Config;
use crate::foundation::cache::TextCache;
use crate::foundation::crypto::{Entropy, NoEntropy};
use crate::foundation::limits::{COOKIE_PIECE, OPENED};
use crate::sealing::{Purpose, Sealer};
use crate::session::model::Session;
use crate::wire::http::cookies::Cookies;

/// Names of our cookies. `__Host-` proves that no sibling domain set them; plain http on a
/// loopback name can't have it.
pub(crate) struct Names {
    /// The session's.
    pub(crate) session: &'static str,
    /// Those of its further pieces, if it is too long for one cookie.
    pub(crate) further: [&'static str; 3],
    /// Where the names of login attempts begin.
    pub(crate) login_prefix: &'static str,
    /// The count of failed logins.
    pub(crate) failures: &'static str,
}

impl Names {
    /// The names for a configuration.
    #[must_use]
    pub(crate) const fn of(config: &Config) -> Self {
        if config.public.https {
            Self {
                session: "__Host-lictor",
                further: ["__Host-lictor-2", "__Host-lictor-3", "__Host-lictor-4"],
                login_prefix: "__Host-lictor-login-",
                failures: "__Host-lictor-failed",
            }
        } else {
            Self {
                session: "lictor",
                further: ["lictor-2", "lictor-3", "lictor-4"],
                login_prefix: "lictor-login-",
                failures: "lictor-failed",
            }
        }
    }

    /// Whether a cookie is ours, under either scheme's names.
    #[must_use]
    pub(crate) fn is_ours(name: &[u8]) -> bool {
        let name = name.strip_prefix(b"__Host-").unwrap_or(name);
        name == b"lictor" || name.starts_with(b"lictor-")
    }
}

/// A `Set-Cookie` value. Deletion writes the same attributes, else browsers keep the cookie.
#[must_use]
pub(crate) fn set(config: &Config, name: &str, value: &str, max_age: u64) -> String {
    let secure = if config.public.https { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; Max-Age={max_age}{secure}; HttpOnly; SameSite=Lax")
}

/// A `Set-Cookie` value that deletes.
#[must_use]
pub(crate) fn clear(config: &Config, name: &str) -> String {
    set(config, name, "", 0)
}

/// The `Set-Cookie` values that delete the session, with all pieces that the browser shows.
#[must_use]
pub(crate) fn clear_session(config: &Config, cookies: &Cookies<'_>) -> Vec<String> {
    let names = Names::of(config);
    core::iter::once(clear(config, names.session))
        .chain(clear_further(config, names.further.as_slice(), cookies))
        .collect()
}

fn clear_further(
    config: &Config,
    names: &[&'static str],
    cookies: &Cookies<'_>,
) -> impl Iterator<Item = String> {
    let shown = names.iter().filter(|name| cookies.named(name).next().is_some());
    shown.map(|name| clear(config, name))
}

/// Why a session can't be put into a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoCookie {
    /// No randomness to seal it.
    Entropy,
    /// It would take more pieces than there may be; in bytes.
    TooLarge(usize),
}

impl From<NoEntropy> for NoCookie {
    fn from(_: NoEntropy) -> Self {
        Self::Entropy
    }
}

/// The session cookie.
pub(crate) struct SessionCookie {
    sealer: Sealer,
    /// Those that have opened.
    opened: RefCell<TextCache<(Rc<Session>, bool)>>,
}

/// What a request's session cookie is worth.
pub(crate) enum Found {
    /// There is none.
    Absent,
    /// There is one that does not open: it counts as absent and is cleared.
    Unreadable,
    /// It opens. `stale` wants sealing again.
    Session {
        /// The session; its times are not yet judged.
        session: Rc<Session>,
        /// Sealed with an older key.
        stale: bool,
    },
}

impl SessionCookie {
    /// For a configuration.
    #[must_use]
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            sealer: Sealer::new(Purpose::Session, config),
            opened: RefCell::new(TextCache::new(OPENED)),
        }
    }

    /// Finds the session among the cookies. Of several cookies with the name the first that opens
    /// counts: a planted one can't.
    #[must_use]
    pub(crate) fn find(&self, config: &Config, cookies: &Cookies<'_>) -> Found {
        let names = Names::of(config);
        let mut found = Found::Absent;
        for value in cookies.named(names.session).take(4) {
            let whole = joined(value, &names, cookies);
            if let Some((session, stale)) = whole.and_then(|text| self.open(names.session, &text)) {
                return Found::Session { session, stale };
            }
            found = Found::Unreadable;
        }
        found
    }

    fn open(&self, name: &str, value: &[u8]) -> Option<(Rc<Session>, bool)> {
        if let Some((session, stale)) = self.opened.borrow().find(value) {
            return Some((Rc::clone(session), *stale));
        }
        let opened = self.sealer.open(name, value)?;
        let session = Rc::new(Session::decode(&opened.plain)?);
        self.opened.borrow_mut().keep(value, (Rc::clone(&session), opened.stale));
        Some((session, opened.stale))
    }

    /// The `Set-Cookie` values for a session: one, or its pieces; those that the browser shows of a
    /// longer one are deleted.
    ///
    /// # Errors
    /// When it does not fit or can't be sealed.
    pub(crate) fn set(
        &self,
        config: &Config,
        session: &Session,
        cookies: &Cookies<'_>,
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<String>, NoCookie> {
        let names = Names::of(config);
        let text = self.sealer.seal(names.session, &session.encode(), entropy)?;
        let pieces: Vec<&[u8]> = text.as_bytes().chunks(COOKIE_PIECE).collect();
        let Some(surplus) = names.further.get(pieces.len().saturating_sub(1)..) else {
            return Err(NoCookie::TooLarge(text.len()));
        };
        let age = config.session.absolute.as_secs();
        let all = core::iter::once(names.session).chain(names.further);
        let mut values: Vec<String> = all
            .zip(&pieces)
            .map(|(name, piece)| {
                // Sealed text is ASCII, so every piece is text.
                let piece = core::str::from_utf8(piece).unwrap_or_default();
                if name == names.session && pieces.len() > 1 {
                    set(config, name, &format!("{}.{piece}", pieces.len()), age)
                } else {
                    set(config, name, piece, age)
                }
            })
            .collect();
        values.extend(clear_further(config, surplus, cookies));
        Ok(values)
    }
}

/// The sealed text of a session whose first piece this is: `<pieces>.` stands before it when there
/// are several, which no sealed text begins with. `None` when a piece is missing; pieces of different
/// sessions do not open together.
fn joined<'a>(first: &'a [u8], names: &Names, cookies: &Cookies<'a>) -> Option<Cow<'a, [u8]>> {
    let [count @ b'2'..=b'4', b'.', begin @ ..] = first else { return Some(first.into()) };
    let mut text = begin.to_vec();
    for name in names.further.iter().take(usize::from(count.saturating_sub(b'1'))) {
        text.extend_from_slice(cookies.named(name).next()?);
    }
    Some(text.into())
}
