//! Names and attributes of our cookies, and the session cookie's way in and out.

use std::cell::RefCell;
use std::rc::Rc;

use crate::config::Config;
use crate::crypto::{Entropy, NoEntropy};
use crate::http::cookies::Cookies;
use crate::limits::{OPENED, SESSION_COOKIE};
use crate::remembered::Remembered;
use crate::session::model::Session;
use crate::session::seal::{Purpose, Sealer};

/// Names of our cookies. `__Host-` proves that no sibling domain set them; plain http on a
/// loopback name can't have it.
pub struct Names {
    /// The session's.
    pub session: &'static str,
    /// Where the names of login attempts begin.
    pub login_prefix: &'static str,
}

impl Names {
    /// The names for a configuration.
    #[must_use]
    pub const fn of(config: &Config) -> Self {
        if config.public.https {
            Self { session: "__Host-lictor", login_prefix: "__Host-lictor-login-" }
        } else {
            Self { session: "lictor", login_prefix: "lictor-login-" }
        }
    }

    /// Whether a cookie is ours, under either scheme's names.
    #[must_use]
    pub fn is_ours(name: &[u8]) -> bool {
        let name = name.strip_prefix(b"__Host-").unwrap_or(name);
        name == b"lictor" || name.starts_with(b"lictor-")
    }
}

/// A `Set-Cookie` value. Deletion writes the same attributes, else browsers keep the cookie.
#[must_use]
pub fn set(config: &Config, name: &str, value: &str, max_age: u64) -> String {
    let secure = if config.public.https { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; Max-Age={max_age}{secure}; HttpOnly; SameSite=Lax")
}

/// A `Set-Cookie` value that deletes.
#[must_use]
pub fn clear(config: &Config, name: &str) -> String {
    set(config, name, "", 0)
}

/// Why a session can't be put into a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoCookie {
    /// No randomness to seal it.
    Entropy,
    /// It would be larger than browsers keep.
    TooLarge(usize),
}

impl From<NoEntropy> for NoCookie {
    fn from(_: NoEntropy) -> Self {
        Self::Entropy
    }
}

/// The session cookie.
pub struct SessionCookie {
    sealer: Sealer,
    /// Those that have opened.
    opened: RefCell<Remembered<(Rc<Session>, bool)>>,
}

/// What a request's session cookie is worth.
pub enum Found {
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
    pub fn new(config: &Config) -> Self {
        Self {
            sealer: Sealer::new(Purpose::Session, config),
            opened: RefCell::new(Remembered::new(OPENED)),
        }
    }

    /// Finds the session among the cookies. Of several cookies with the name the first that opens
    /// counts: a planted one can't.
    #[must_use]
    pub fn find(&self, config: &Config, cookies: &Cookies<'_>) -> Found {
        let name = Names::of(config).session;
        let mut found = Found::Absent;
        for value in cookies.named(name).take(4) {
            if let Some((session, stale)) = self.open(name, value) {
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

    /// The `Set-Cookie` value for a session.
    ///
    /// # Errors
    /// When it does not fit or can't be sealed.
    pub fn set(
        &self,
        config: &Config,
        session: &Session,
        entropy: &mut dyn Entropy,
    ) -> Result<String, NoCookie> {
        let name = Names::of(config).session;
        let value = self.sealer.seal(name, &session.encode(), entropy)?;
        if value.len() > SESSION_COOKIE {
            return Err(NoCookie::TooLarge(value.len()));
        }
        Ok(set(config, name, &value, config.session.absolute.as_secs()))
    }
}
