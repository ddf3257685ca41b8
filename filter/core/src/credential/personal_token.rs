//! Personal tokens, which replace a shared password at a person's command line.
//!
//! A token is sealed, so that the server stores nothing. Only a fresh login creates one; a token
//! never creates another token.

pub(crate) mod native_app;

use std::rc::Rc;

use crate::config::{Config, PersonalTokenSettings};
use crate::foundation::codec::{Reader, Writer};
use crate::foundation::crypto::{Entropy, NoEntropy, random};
use crate::foundation::id::{Id, TokenId};
use crate::foundation::limits::FRESH_LOGIN;
use crate::foundation::log_text::shown;
use crate::foundation::secret::Secret;
use crate::foundation::time::UnixTime;
use crate::identity::credential_ref::CredentialRef;
use crate::identity::personal_token::PersonalToken;
use crate::identity::principal::{Identity, Method, Principal};
use crate::identity::role::Role;
use crate::refusal::{Reason, Refusal};
use crate::sealing::{Purpose, Sealer};
use crate::session::model::Session;

/// Prefix of every personal token.
pub(crate) const PREFIX: &[u8] = b"lt_";

/// Knows which tokens are revoked before they expire.
pub(crate) trait Revoked {
    /// Returns whether the provider has ended, or may have ended, the session that created the
    /// token.
    fn is_revoked(&mut self, token: &PersonalToken, now: UnixTime) -> bool;
}

/// Returns the role of a token for a person: the lesser of the person's role and the configured
/// one.
///
/// Returns `None` if neither role includes the other.
#[must_use]
pub(crate) fn role(of_person: Role, settings: &PersonalTokenSettings) -> Option<Role> {
    if settings.role.includes(of_person) {
        return Some(of_person);
    }
    of_person.includes(settings.role).then_some(settings.role)
}

/// Creates a token for the person of a session.
///
/// # Errors
/// When the host provides no randomness.
pub(crate) fn make(
    session: &Session,
    role: Role,
    settings: &PersonalTokenSettings,
    now: UnixTime,
    entropy: &mut dyn Entropy,
) -> Result<PersonalToken, NoEntropy> {
    Ok(PersonalToken {
        id: TokenId::from_bytes(random(entropy)?),
        subject: session.subject.clone(),
        name: session.name.clone(),
        email: session.email.clone(),
        role,
        sid: session.sid.clone(),
        issued: now,
        expires: now.plus(settings.max),
    })
}

/// Verifies an opened token against the current settings.
///
/// # Errors
/// When the token has expired, is revoked or is not allowed by the settings.
pub(crate) fn verify(
    token: &Rc<PersonalToken>,
    config: &Config,
    revoked: &mut dyn Revoked,
    now: UnixTime,
) -> Result<Identity, Refusal> {
    let id = token.id_text();
    let refused = |why: &str| {
        Err(Refusal::new(Reason::PersonalToken)
            .seen(format!("personal token {id} of user:{}, {why}", shown(&token.subject)))
            .wanted("one that is in time and not revoked"))
    };
    let Some(settings) = &config.machines.personal_tokens else {
        return refused("but machines.personal_tokens is off");
    };
    // The settings may allow a shorter life than when the token was created.
    if now >= token.expires || now.is_over(token.issued, settings.max) {
        return refused("expired");
    }
    if config.session.not_before.is_some_and(|limit| token.issued < limit) {
        return refused("issued before session.not_before");
    }
    if !config.users.admits(&token.subject, token.email.as_deref()) {
        return refused("who is not in users.allow");
    }
    if settings.revoked.contains(&token.id) {
        return refused("listed in machines.personal_tokens.revoked");
    }
    if revoked.is_revoked(token, now) {
        return refused("ended by the provider");
    }
    let Some(role) = role(token.role, settings) else {
        return refused("of a role that machines.personal_tokens.role does not include");
    };
    let principal = Principal {
        id: format!("user:{}", token.subject),
        name: token.name.clone(),
        email: token.email.clone(),
        method: Method::PersonalToken,
    };
    Ok(Identity {
        principal: Rc::new(principal),
        role: Some(role),
        until: Some(token.expires.min(token.issued.plus(settings.max))),
        credential: CredentialRef::PersonalToken(Rc::clone(token)),
    })
}

/// Seals and opens personal tokens, the codes that a terminal redeems for one, and form tokens.
pub(crate) struct PersonalTokens {
    tokens: Sealer,
    codes: Sealer,
    form_tokens: Sealer,
}

/// The content of an authorization code for a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Code {
    /// The code challenge, whose verifier the terminal must present (RFC 7636 §4.2).
    pub(crate) challenge: [u8; 32],
    /// The token that the terminal receives for the code.
    pub(crate) token: PersonalToken,
}

/// Name of a token in the sealer's associated data, where a sealed cookie has its cookie's name.
const TOKEN: &str = "personal token";
/// Name of a code in the sealer's associated data.
const CODE: &str = "code";

impl PersonalTokens {
    /// Creates the sealers with the configured keys.
    #[must_use]
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            tokens: Sealer::new(Purpose::PersonalToken, config),
            codes: Sealer::new(Purpose::PersonalTokenCode, config),
            form_tokens: Sealer::new(Purpose::PersonalTokenForm, config),
        }
    }

    /// Returns the text of a token.
    ///
    /// # Errors
    /// When the host provides no randomness.
    pub(crate) fn seal(
        &self,
        token: &PersonalToken,
        entropy: &mut dyn Entropy,
    ) -> Result<Secret, NoEntropy> {
        let sealed = self.tokens.seal(TOKEN, &token.encode(), entropy)?;
        Ok(Secret::new([PREFIX, sealed.as_bytes()].concat()))
    }

    /// Opens the text of a token.
    ///
    /// # Errors
    /// When the text does not open. The refusal does not say why.
    pub(crate) fn open(&self, text: &[u8]) -> Result<PersonalToken, Refusal> {
        let sealed = text.strip_prefix(PREFIX).and_then(|text| self.tokens.open(TOKEN, text));
        sealed.and_then(|opened| PersonalToken::decode(&opened.plain)).ok_or_else(|| {
            Refusal::new(Reason::PersonalToken)
                .seen("a personal token that does not open")
                .wanted("one that was made here, under a key of LICTOR_COOKIE_KEYS")
        })
    }

    /// Returns a form token (CSRF token) for the page at a path and the person of a session.
    ///
    /// The form on the page must send it back. A forged form on one of Prefect's own pages
    /// therefore creates no token.
    ///
    /// # Errors
    /// When the host provides no randomness.
    pub(crate) fn seal_form_token(
        &self,
        session: &Session,
        page: &str,
        now: UnixTime,
        entropy: &mut dyn Entropy,
    ) -> Result<String, NoEntropy> {
        let plain = Writer::default().raw(&session.id.bytes()).number(now.millis()).finish();
        self.form_tokens.seal(page, &plain, entropy)
    }

    /// Returns whether a text is a form token for the page and the session, not older than
    /// [`FRESH_LOGIN`].
    #[must_use]
    pub(crate) fn is_form_token(
        &self,
        text: &str,
        session: &Session,
        page: &str,
        now: UnixTime,
    ) -> bool {
        let Some(opened) = self.form_tokens.open(page, text.as_bytes()) else { return false };
        let mut fields = Reader::new(&opened.plain);
        let mut read = || Some((fields.raw::<16>()?, UnixTime::from_millis(fields.number()?)));
        read().is_some_and(|(id, at)| id == session.id.bytes() && !now.is_over(at, FRESH_LOGIN))
    }

    /// Returns the text of a code.
    ///
    /// # Errors
    /// When the host provides no randomness.
    pub(crate) fn seal_code(
        &self,
        code: &Code,
        entropy: &mut dyn Entropy,
    ) -> Result<Secret, NoEntropy> {
        let plain = Writer::default().raw(&code.challenge).raw(&code.token.encode()).finish();
        self.codes.seal(CODE, &plain, entropy).map(Secret::new)
    }

    /// Opens the text of a code.
    #[must_use]
    pub(crate) fn open_code(&self, text: &[u8]) -> Option<Code> {
        let plain = self.codes.open(CODE, text)?.plain;
        let (challenge, token) = plain.split_first_chunk::<32>()?;
        Some(Code { challenge: *challenge, token: PersonalToken::decode(token)? })
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_token_has_no_role_above_the_person_s_nor_the_settings() {
        use Role::{Admin, Operator, Viewer, Worker};
        for (own, most, wanted) in [
            (Viewer, Operator, Some(Viewer)),
            (Operator, Operator, Some(Operator)),
            (Admin, Operator, Some(Operator)),
            (Admin, Admin, Some(Admin)),
            (Admin, Worker, Some(Worker)),
            (Operator, Viewer, Some(Viewer)),
            (Worker, Worker, Some(Worker)),
            // A worker may read secrets, an operator may not: neither includes the other.
            (Worker, Operator, None),
            (Operator, Worker, None),
        ] {
            let settings = PersonalTokenSettings {
                max: Duration::from_secs(60),
                role: most,
                revoked: Vec::new(),
            };
            assert_eq!(role(own, &settings), wanted, "{own:?} {most:?}");
        }
    }
}
