//! Sealing of cookies: which key, bound to what (docs/threats.md T-S4, RFC 6265bis §8.6).

use crate::config::Config;
use crate::foundation::codec::Writer;
use crate::foundation::crypto;
use crate::foundation::crypto::{Entropy, Key, NoEntropy};

/// Version of the sealed form; in the associated data, too.
const VERSION: u8 = 1;

/// What a sealed text is for. A text sealed for one purpose opens for no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The session cookie.
    Session,
    /// A login attempt's cookie.
    Login,
    /// The count of failed logins.
    Failures,
    /// A personal token.
    PersonalToken,
    /// That a person was asked for a personal token.
    PersonalTokenForm,
    /// A code that a terminal trades for a personal token.
    PersonalTokenCode,
}

impl Purpose {
    const fn label(self) -> &'static str {
        match self {
            Self::Session => "session cookie",
            Self::Login => "login cookie",
            Self::Failures => "failed logins",
            Self::PersonalToken => "personal token",
            Self::PersonalTokenForm => "personal token asked",
            Self::PersonalTokenCode => "personal token code",
        }
    }
}

/// Seals and opens for one purpose.
pub(crate) struct Sealer {
    /// Key ids and derived keys; the first seals.
    keys: Vec<([u8; 4], Key)>,
    binding: Vec<u8>,
}

/// What opening gives.
pub(crate) struct Opened {
    /// The bytes.
    pub(crate) plain: Vec<u8>,
    /// Sealed with an older key: to be sealed again.
    pub(crate) stale: bool,
}

impl Sealer {
    /// Derives the purpose's keys.
    #[must_use]
    pub(crate) fn new(purpose: Purpose, config: &Config) -> Self {
        let keys = config.secrets.cookie_keys.iter().map(|master| {
            let [a, b, c, d, ..] = crypto::derive(master, "key id");
            ([a, b, c, d], crypto::derive(master, purpose.label()))
        });
        let binding = Writer::default()
            .raw(&[VERSION])
            .bytes(purpose.label().as_bytes())
            .bytes(config.issuer.as_bytes())
            .bytes(config.client_id.as_bytes())
            .bytes(config.absolute(&config.public.path).as_bytes())
            .finish();
        Self { keys: keys.collect(), binding }
    }

    fn associated(&self, name: &str) -> Vec<u8> {
        Writer::default().raw(&self.binding).bytes(name.as_bytes()).finish()
    }

    /// Seals for the cookie of that name: base64url of version, key id, nonce, ciphertext, tag.
    ///
    /// # Errors
    /// When the host has no randomness.
    pub(crate) fn seal(
        &self,
        name: &str,
        plain: &[u8],
        entropy: &mut dyn Entropy,
    ) -> Result<String, NoEntropy> {
        let (id, key) = self.keys.first().ok_or(NoEntropy)?;
        let sealed = crypto::seal(key, &self.associated(name), plain, entropy)?;
        Ok(crypto::to_base64url(&[&[VERSION], id.as_slice(), &sealed].concat()))
    }

    /// Opens what [`Self::seal`] made for that name, under any of the keys.
    #[must_use]
    pub(crate) fn open(&self, name: &str, text: &[u8]) -> Option<Opened> {
        let bytes = crypto::from_base64url(text)?;
        let (version, rest) = bytes.split_first()?;
        let (id, sealed) = rest.split_first_chunk::<4>()?;
        if *version != VERSION {
            return None;
        }
        // Two keys may share an id by chance: each of them is tried.
        self.keys.iter().enumerate().filter(|(_, (own, _))| own == id).find_map(|(at, (_, key))| {
            let plain = crypto::open(key, &self.associated(name), sealed)?;
            Some(Opened { plain, stale: at != 0 })
        })
    }
}
