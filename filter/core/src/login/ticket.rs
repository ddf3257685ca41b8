//! Login attempts, each of which the browser stores in a sealed cookie of its own.

use core::time::Duration;

use crate::config::Config;
use crate::foundation::codec::{Reader, Writer};
use crate::foundation::crypto::{
    Entropy, NoEntropy, constant_time_eq, from_base64url, random, sha256, to_base64url,
};
use crate::foundation::limits::{LOGIN_ATTEMPT, LOGIN_ATTEMPTS, STATE_PATH};
use crate::foundation::time::UnixTime;
use crate::sealing::{Purpose, Sealer};
use crate::session::cookie::{Names, clear, set};
use crate::wire::http::cookies::Cookies;

/// Options of a login that is about to start.
#[derive(Clone, Debug)]
pub(crate) struct LoginOptions {
    /// The checked path to which the browser returns after the login.
    pub(crate) return_to: String,
    /// Whether Lictor starts the login by itself, after another login has failed.
    pub(crate) again: bool,
    /// Whether the person must have authenticated at the provider a moment ago (`max_age`, OpenID
    /// Connect Core §3.1.2.1).
    pub(crate) fresh: bool,
}

/// A login attempt: what the callback needs to finish it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    id: String,
    secret: [u8; 32],
    /// The request's `nonce`: 256 bits as base64url.
    pub(crate) nonce: String,
    /// PKCE code verifier: 256 bits in 43 unreserved characters (RFC 7636 §4.1, §7.1).
    pub(crate) verifier: String,
    /// The checked path to which the browser returns after the login.
    pub(crate) return_to: String,
    /// Whether Lictor started the attempt by itself, after another login had failed.
    pub(crate) again: bool,
    /// Whether the person must have authenticated at the provider a moment ago.
    pub(crate) fresh: bool,
    started: UnixTime,
}

/// Version of the binary form, its first byte.
const VERSION: u8 = 2;

impl Ticket {
    /// Creates an attempt with fresh random values.
    ///
    /// # Errors
    /// When the host provides no randomness.
    pub(crate) fn new(
        options: LoginOptions,
        now: UnixTime,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, NoEntropy> {
        Ok(Self {
            id: to_base64url(&random::<9>(entropy)?),
            secret: random(entropy)?,
            nonce: to_base64url(&random::<32>(entropy)?),
            verifier: to_base64url(&random::<32>(entropy)?),
            return_to: options.return_to,
            again: options.again,
            fresh: options.fresh,
            started: now,
        })
    }

    /// Returns the parameter `state`: the name of the attempt's cookie, the attempt's secret, and
    /// what [`Remembered`] reads when that cookie is gone.
    ///
    /// The secret proves that the provider's answer belongs to the attempt (RFC 6749 §10.12).
    #[must_use]
    pub(crate) fn state(&self) -> String {
        let secret = to_base64url(&self.secret);
        let kind = if self.again { AGAIN } else { FIRST };
        // The query of the page for personal tokens is between Lictor and a native app.
        let path = if self.fresh { self.return_to.split('?').next() } else { None };
        let path = path.unwrap_or(&self.return_to).as_bytes();
        let path = Some(path).filter(|path| path.len() <= STATE_PATH).unwrap_or_default();
        format!("{}.{secret}.{kind}.{}", self.id, to_base64url(path))
    }

    /// Returns the `code_challenge` for the method `S256`.
    #[must_use]
    pub(crate) fn challenge(&self) -> String {
        to_base64url(&sha256(self.verifier.as_bytes()))
    }

    fn encode(&self) -> Vec<u8> {
        Writer::default()
            .raw(&[VERSION, u8::from(self.again) | u8::from(self.fresh) << 1])
            .raw(&self.secret)
            .number(self.started.millis())
            .bytes(self.nonce.as_bytes())
            .bytes(self.verifier.as_bytes())
            .bytes(self.return_to.as_bytes())
            .finish()
    }

    fn decode(id: &str, bytes: &[u8]) -> Option<Self> {
        let mut fields = Reader::new(bytes);
        let (again, fresh) = match fields.raw()? {
            [VERSION, bits @ 0..=3] => (bits & 1 != 0, bits & 2 != 0),
            _ => return None,
        };
        let ticket = Self {
            id: id.to_owned(),
            again,
            fresh,
            secret: fields.raw()?,
            started: UnixTime::from_millis(fields.number()?),
            nonce: fields.text()?,
            verifier: fields.text()?,
            return_to: fields.text()?,
        };
        fields.is_done().then_some(ticket)
    }
}

/// The kind of an attempt in its `state`: started by a person, or by Lictor after a failed one.
const FIRST: &str = "1";
const AGAIN: &str = "2";

/// What a `state` says without its cookie. Anybody can write it, so nothing may depend on it but
/// where a new attempt leads, and when Lictor stops starting new ones by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// The unchecked return path.
    pub(crate) return_to: Option<String>,
    /// Whether Lictor started the attempt by itself. This ends the endless loop of a browser that
    /// stores no cookies.
    pub(crate) again: bool,
}

impl Remembered {
    /// Reads the parameter `state`.
    #[must_use]
    pub(crate) fn of(state: &str) -> Self {
        let mut parts = state.split('.').skip(2);
        let again = parts.next() == Some(AGAIN);
        let path = parts.next().and_then(|path| from_base64url(path.as_bytes()));
        let return_to = path.and_then(|path| String::from_utf8(path).ok());
        Self { return_to: return_to.filter(|path| !path.is_empty()), again }
    }
}

/// Maximum number of login cookies that are opened: those of the allowed attempts and as many that
/// an attacker planted.
const LOOKED_AT: usize = 2 * LOGIN_ATTEMPTS;

/// Seals login attempts into cookies and opens them again.
pub(crate) struct Tickets {
    sealer: Sealer,
    lifetime: Duration,
}

impl Tickets {
    /// Creates the store with the configured keys.
    #[must_use]
    pub(crate) fn new(config: &Config) -> Self {
        Self { sealer: Sealer::new(Purpose::Login, config), lifetime: LOGIN_ATTEMPT }
    }

    fn name(config: &Config, id: &str) -> String {
        format!("{}{id}", Names::of(config).login_prefix)
    }

    fn open(&self, name: &str, id: &str, value: &[u8]) -> Option<Ticket> {
        Ticket::decode(id, &self.sealer.open(name, value)?.plain)
    }

    /// Returns the `Set-Cookie` values that store a new attempt.
    ///
    /// They also delete unreadable attempts, and the oldest ones above [`LOGIN_ATTEMPTS`].
    ///
    /// # Errors
    /// When the host provides no randomness.
    pub(crate) fn keep(
        &self,
        config: &Config,
        ticket: &Ticket,
        cookies: &Cookies<'_>,
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<String>, NoEntropy> {
        let name = Self::name(config, &ticket.id);
        let value = self.sealer.seal(&name, &ticket.encode(), entropy)?;
        let mut answers = vec![set(config, &name, &value, self.lifetime.as_secs())];
        let prefix = Names::of(config).login_prefix;
        let mut open: Vec<(UnixTime, &str)> = Vec::new();
        for (other, value) in cookies.with_prefix(prefix, LOOKED_AT) {
            let id = other.strip_prefix(prefix).unwrap_or_default();
            match self.open(other, id, value) {
                Some(ticket) => open.push((ticket.started, other)),
                None if is_token(other) => answers.push(clear(config, other)),
                None => {}
            }
        }
        open.sort_unstable();
        let surplus = open.len().saturating_add(1).saturating_sub(LOGIN_ATTEMPTS);
        let oldest = open.iter().take(surplus.min(LOGIN_ATTEMPTS));
        answers.extend(oldest.map(|(_, name)| clear(config, name)));
        Ok(answers)
    }

    /// Returns the attempt of this browser to which a callback's `state` belongs.
    ///
    /// Returns `None` if the attempt's cookie is missing, does not match or is older than
    /// [`LOGIN_ATTEMPT`].
    #[must_use]
    pub(crate) fn claim(
        &self,
        config: &Config,
        cookies: &Cookies<'_>,
        state: &str,
        now: UnixTime,
    ) -> Option<Ticket> {
        let (id, _) = state.split_once('.')?;
        let name = Self::name(config, id);
        let ticket = cookies.named(&name).take(2).find_map(|value| self.open(&name, id, value))?;
        let matches = constant_time_eq(ticket.state().as_bytes(), state.as_bytes());
        (matches && !now.is_over(ticket.started, self.lifetime)).then_some(ticket)
    }

    /// Returns the `Set-Cookie` value that deletes an attempt, if `state` can be the state of one.
    #[must_use]
    pub(crate) fn end(config: &Config, state: &str) -> Option<String> {
        let (id, _) = state.split_once('.')?;
        let name = Self::name(config, id);
        (id.len() <= 16 && is_token(&name)).then(|| clear(config, &name))
    }
}

/// Returns whether a cookie name from a request is safe to repeat in a `Set-Cookie` header.
fn is_token(name: &str) -> bool {
    name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}
