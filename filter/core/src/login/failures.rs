//! Callbacks of one browser that came to nothing, counted in a sealed cookie: a login that fails again
//! and again ends on a page that says so instead of going round between here and the provider.

use core::time::Duration;

use crate::config::Config;
use crate::foundation::codec::{Reader, Writer};
use crate::foundation::crypto::{Entropy, NoEntropy};
use crate::foundation::time::UnixTime;
use crate::sealing::{Purpose, Sealer};
use crate::session::cookie::{Names, clear, set};
use crate::wire::http::cookies::Cookies;

/// How many are one too many,
const MOST: usize = 3;
/// within this time.
const WINDOW: Duration = Duration::from_secs(120);

/// See the module.
pub(crate) struct Failures {
    sealer: Sealer,
}

/// What one more failure means; with the `Set-Cookie` value that goes with the answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// Another login may be tried.
    Few(String),
    /// It goes round. The count begins anew: whoever tries again by hand may.
    Loop(String),
}

impl Failures {
    /// For a configuration.
    #[must_use]
    pub(crate) fn new(config: &Config) -> Self {
        Self { sealer: Sealer::new(Purpose::Failures, config) }
    }

    /// Counts one more.
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

    /// The `Set-Cookie` value that forgets them, if the browser shows any.
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
