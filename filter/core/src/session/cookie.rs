//! Names and attributes of Lictor's cookies, and the session cookie that is read and written here.

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

/// Names of Lictor's cookies.
///
/// The prefix `__Host-` proves that no sibling domain set the cookie. Browsers refuse the prefix
/// over plain http, so a public URL with http on a loopback name does without it.
pub(crate) struct Names {
    /// Name of the session cookie.
    pub(crate) session: &'static str,
    /// Names of the second to fourth piece of a session that is too long for one cookie.
    pub(crate) further: [&'static str; 3],
    /// Prefix of the names of login attempt cookies.
    pub(crate) login_prefix: &'static str,
    /// Name of the cookie that counts failed logins.
    pub(crate) failures: &'static str,
}

impl Names {
    /// Returns the names for the scheme of the configured public URL.
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

    /// Returns whether Lictor owns the cookie name, with or without the prefix `__Host-`.
    #[must_use]
    pub(crate) fn is_ours(name: &[u8]) -> bool {
        let name = name.strip_prefix(b"__Host-").unwrap_or(name);
        name == b"lictor" || name.starts_with(b"lictor-")
    }
}

/// Returns a `Set-Cookie` value; `max_age` is in seconds.
///
/// Deleting a cookie must use the same attributes, else browsers keep it.
#[must_use]
pub(crate) fn set(config: &Config, name: &str, value: &str, max_age: u64) -> String {
    let secure = if config.public.https { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; Max-Age={max_age}{secure}; HttpOnly; SameSite=Lax")
}

/// Returns a `Set-Cookie` value that deletes a cookie.
#[must_use]
pub(crate) fn clear(config: &Config, name: &str) -> String {
    set(config, name, "", 0)
}

/// Returns the `Set-Cookie` values that delete the session cookie and each further piece that the
/// browser sent.
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
    let sent = names.iter().filter(|name| cookies.named(name).next().is_some());
    sent.map(|name| clear(config, name))
}

/// Why a session can't be stored in a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoCookie {
    /// The host provides no randomness for sealing.
    Entropy,
    /// The sealed session of this many bytes does not fit into four cookies.
    TooLarge(usize),
}

impl From<NoEntropy> for NoCookie {
    fn from(_: NoEntropy) -> Self {
        Self::Entropy
    }
}

/// Seals sessions into cookies and opens them again.
pub(crate) struct SessionCookie {
    sealer: Sealer,
    /// Sessions that were opened before by sealed text, and whether the key was an older one.
    opened: RefCell<TextCache<(Rc<Session>, bool)>>,
}

/// The session that a request carries in its cookies.
pub(crate) enum Found {
    /// The request has no session cookie.
    Absent,
    /// No session cookie opens. The caller treats the session as absent and clears the cookie.
    Unreadable,
    /// A session cookie opens.
    Session {
        /// The session, whose time limits are not checked yet.
        session: Rc<Session>,
        /// Whether an older key sealed the cookie, so that it should be sealed again.
        stale: bool,
    },
}

impl SessionCookie {
    /// Creates a session cookie with the configured keys.
    #[must_use]
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            sealer: Sealer::new(Purpose::Session, config),
            opened: RefCell::new(TextCache::new(OPENED)),
        }
    }

    /// Finds the session among a request's cookies.
    ///
    /// Among several cookies of the same name, the first one that opens is used. A cookie planted
    /// by an attacker does not open.
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

    /// Returns the `Set-Cookie` values that store a session in one cookie or in several pieces.
    ///
    /// Pieces of an earlier, longer session that the browser sent are deleted.
    ///
    /// # Errors
    /// See [`NoCookie`].
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
                // Sealed text is ASCII, so every piece is valid UTF-8.
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

/// Joins the sealed text of a session from its first piece and the pieces in further cookies.
///
/// The first of several pieces has the prefix `<number of pieces>.`, with which no sealed text
/// begins. Returns `None` if a piece is missing. Joined pieces of different sessions do not open.
fn joined<'a>(first: &'a [u8], names: &Names, cookies: &Cookies<'a>) -> Option<Cow<'a, [u8]>> {
    let [pieces @ b'2'..=b'4', b'.', begin @ ..] = first else { return Some(first.into()) };
    let mut text = begin.to_vec();
    for name in names.further.iter().take(usize::from(pieces.saturating_sub(b'1'))) {
        text.extend_from_slice(cookies.named(name).next()?);
    }
    Some(text.into())
}
