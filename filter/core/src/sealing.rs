//! Sealed texts, such as cookies and personal tokens: which key seals them, and what it binds.
//!
//! See docs/threats.md T-S4 and RFC 6265bis §8.6.

use crate::config::Config;
use crate::foundation::codec::Writer;
use crate::foundation::crypto;
use crate::foundation::crypto::{Entropy, Key, NoEntropy};

/// Version of the sealed format. It is part of the associated data, too.
const VERSION: u8 = 1;

/// The purpose of a sealed text. A text sealed for one purpose does not open for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The session cookie.
    Session,
    /// The cookie of a login attempt.
    Login,
    /// The cookie that counts failed logins.
    Failures,
    /// A personal token.
    PersonalToken,
    /// The proof that the page for personal tokens was shown to this session (CSRF token).
    PersonalTokenForm,
    /// A code that a native app redeems for a personal token.
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

/// Seals and opens texts for one purpose.
pub(crate) struct Sealer {
    /// Key ids and derived keys. The first key seals; all keys open.
    keys: Vec<([u8; 4], Key)>,
    /// Associated data of every text: version, purpose, issuer, client id and public URL.
    binding: Vec<u8>,
}

/// An opened text.
pub(crate) struct Opened {
    /// The plaintext.
    pub(crate) plain: Vec<u8>,
    /// Whether an older key sealed the text. The caller then seals it again.
    pub(crate) stale: bool,
}

impl Sealer {
    /// Derives the keys of a purpose from the cookie keys of the configuration.
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

    /// Seals a plaintext under a name, which is the cookie name for cookies.
    ///
    /// The result is the base64url form of version, key id, nonce, ciphertext and tag.
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

    /// Opens a text that [`Self::seal`] created for this name, with any of the keys.
    #[must_use]
    pub(crate) fn open(&self, name: &str, text: &[u8]) -> Option<Opened> {
        let bytes = crypto::from_base64url(text)?;
        let (version, rest) = bytes.split_first()?;
        let (id, sealed) = rest.split_first_chunk::<4>()?;
        if *version != VERSION {
            return None;
        }
        // Two keys may share a 4-byte id by chance, so every key with this id is tried.
        self.keys.iter().enumerate().filter(|(_, (kid, _))| kid == id).find_map(|(at, (_, key))| {
            let plain = crypto::open(key, &self.associated(name), sealed)?;
            Some(Opened { plain, stale: at != 0 })
        })
    }
}
