//! Counts the failed logins of a browser in a sealed cookie.
//!
//! A failed login starts another one by itself. The count ends a login that keeps failing on an
//! error page, instead of in an endless loop between Lictor and the provider.

use core::time::Duration;

use crate::config::Config;
use crate::foundation::codec::{Reader, Writer};
use crate::foundation::crypto::{Entropy, NoEntropy};
use crate::foundation::time::UnixTime;
use crate::sealing::{Purpose, Sealer};
use crate::session::cookie::{Names, clear, set};
use crate::wire::http::cookies::Cookies;

/// Number of failed logins within [`WINDOW`] that is a loop.
const MOST: usize = 3;
/// Time for which a failed login is remembered.
const WINDOW: Duration = Duration::from_secs(120);

/// Seals and opens the cookie that counts a browser's failed logins.
pub(crate) struct Failures {
    sealer: Sealer,
}

/// What another failed login means. Each variant holds the answer's `Set-Cookie` value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// Another login may start.
    Few(String),
    /// The logins are in a loop. The cookie is deleted, so that the person may try again by hand.
    Loop(String),
}

impl Failures {
    /// Creates a counter with the configured keys.
    #[must_use]
    pub(crate) fn new(config: &Config) -> Self {
        Self { sealer: Sealer::new(Purpose::Failures, config) }
    }

    /// Adds a failed login to those in the browser's cookie.
    ///
    /// # Errors
    /// When the host has no randomness.
    pub(crate) fn add(
        &self,
        config: &Config,
        cookies: &Cookies<'_>,
        now: UnixTime,
        entropy: &mut dyn Entropy,
    ) -> Result<Counted, NoEntropy> {
        let name = Names::of(config).failures;
        let mut times = self.recent(name, cookies, now);
        times.push(now);
        if times.len() >= MOST {
            return Ok(Counted::Loop(clear(config, name)));
        }
        let text = times.iter().fold(Writer::default(), |text, time| text.number(time.millis()));
        let value = self.sealer.seal(name, &text.finish(), entropy)?;
        Ok(Counted::Few(set(config, name, &value, WINDOW.as_secs())))
    }

    /// Returns the `Set-Cookie` value that deletes the count, if the browser sent the cookie.
    #[must_use]
    pub(crate) fn forget(config: &Config, cookies: &Cookies<'_>) -> Option<String> {
        let name = Names::of(config).failures;
        cookies.named(name).next().map(|_| clear(config, name))
    }

    fn recent(&self, name: &str, cookies: &Cookies<'_>, now: UnixTime) -> Vec<UnixTime> {
        let opened = cookies.named(name).take(2).find_map(|value| self.sealer.open(name, value));
        let Some(opened) = opened else { return Vec::new() };
        let mut fields = Reader::new(&opened.plain);
        core::iter::from_fn(|| fields.number())
            .map(UnixTime::from_millis)
            .filter(|time| !now.is_over(*time, WINDOW))
            .take(MOST)
            .collect()
    }
}
