//! Verification of machine credentials, with the provider's verdict where it is needed.

use std::rc::Rc;

use super::Site;
use super::grants::{Outcome, Presenter};
use crate::config::{Config, LOGIN};
use crate::credential::grant::{GrantReply, RemoteCredential};
use crate::credential::verifier::{AuthenticationError, Presentation, VerificationContext};
use crate::credential::{client_credentials, introspection, personal_token};
use crate::foundation::id::{CredentialId, Id, TombstoneId};
use crate::foundation::limits::CODE;
use crate::foundation::stream::StreamId;
use crate::foundation::time::UnixTime;
use crate::identity::personal_token::PersonalToken;
use crate::identity::principal::Identity;
use crate::provider::callout::CalloutReply;
use crate::provider::token_endpoint::Credentials;
use crate::refusal::{Reason, Refusal};
use crate::wire::http::authorization::Presented;
use crate::wire::peer::Peer;
use crate::workers::tombstones::Added;

impl Site {
    /// Verifies a credential for a request, which may have to wait for the verdict.
    pub(crate) fn verify_credential(
        &mut self,
        presented: &Presented<'_>,
        stream: StreamId,
        peer: &dyn Peer,
        now: UnixTime,
    ) -> Result<Identity, AuthenticationError> {
        let config = self.config();
        let verified = match self.verification_context(&config, peer, now).verify(presented) {
            Err(AuthenticationError::NoKeys) => {
                self.catch_up(now);
                self.verification_context(&config, peer, now).verify(presented)
            }
            // Another worker has fetched since. Its set may have the key.
            Err(AuthenticationError::UnknownKey { issuer, .. })
                if self.keys.take_newer(issuer, now) =>
            {
                self.verification_context(&config, peer, now).verify(presented)
            }
            verified => verified,
        };
        match verified? {
            Presentation::Proof(identity) => Ok(identity),
            Presentation::Remote(credential) => {
                self.grant(&credential, Presenter { stream, peer }, now)
            }
            Presentation::Password { user, password } => {
                Ok(self.passwords.verify(&user, &password, &config.machines, peer, now)?)
            }
            Presentation::Personal(token) => Ok(self.verify_personal_token(&token, now)?),
        }
    }

    fn verification_context<'a>(
        &'a self,
        config: &'a Config,
        peer: &'a dyn Peer,
        now: UnixTime,
    ) -> VerificationContext<'a> {
        VerificationContext {
            config,
            keys: &self.keys,
            host: &*self.host,
            peer,
            personal: &self.personal_tokens,
            verified: &self.verified,
            now,
        }
    }

    fn grant(
        &mut self,
        credential: &RemoteCredential,
        presenter: Presenter<'_>,
        now: UnixTime,
    ) -> Result<Identity, AuthenticationError> {
        let config = self.config();
        if self.provider.is_none() {
            self.catch_up(now);
        }
        let has_provider = self.provider.is_some();
        let refused = |reason, seen: &str| {
            let seen = format!("{}: {seen}", credential.described());
            Err(AuthenticationError::Refused(
                Refusal::new(reason).seen(seen).wanted("a verdict of the provider"),
            ))
        };
        match self.grants.present(credential, presenter, &config.session, has_provider, now) {
            Outcome::Granted(identity) => Ok(identity),
            Outcome::Wait => Err(AuthenticationError::Asking),
            Outcome::Refused(refusal) => Err(AuthenticationError::Refused(refusal)),
            Outcome::Unavailable => refused(Reason::ProviderUnreachable, "no verdict"),
            Outcome::Busy => refused(Reason::Busy, "too many unknown credentials"),
        }
    }

    /// Verifies that a personal token is still valid.
    ///
    /// # Errors
    /// Refuses a token that has expired, is revoked or exceeds the settings.
    pub(crate) fn verify_personal_token(
        &mut self,
        token: &Rc<PersonalToken>,
        now: UnixTime,
    ) -> Result<Identity, Refusal> {
        let config = self.config();
        personal_token::verify(token, &config, &mut self.revocations, now)
    }

    /// Marks the code of a token as used, once across all workers. A code past its lifetime is
    /// reported as already used.
    pub(crate) fn use_terminal_code(&mut self, token: &PersonalToken, now: UnixTime) -> Added {
        if now.is_over(token.issued, CODE) {
            return Added::Known;
        }
        self.used_codes.add(TombstoneId::from_bytes(token.id.bytes()), now)
    }

    /// Handles the provider's answer about a credential.
    pub(super) fn on_grant(&mut self, id: CredentialId, reply: CalloutReply<'_>, now: UnixTime) {
        let Some(credential) = self.grants.pending(id).cloned() else { return };
        let config = self.config();
        let verdict = match &credential {
            RemoteCredential::Client(Credentials { client, .. }) => {
                let verifier = self.verifier(&config, now);
                client_credentials::read_reply(client, reply, verifier, &config, now)
            }
            RemoteCredential::Token(token) => introspection::read_reply(token, reply, &config, now),
        };
        if let GrantReply::NoVerdict { seen, unknown_key, .. } = &verdict {
            if *unknown_key {
                self.keys.want_fresher(LOGIN, now);
            }
            let credential = credential.described();
            self.notice(format!("the provider gave no verdict on {credential}: {seen}"));
        }
        self.woken.extend(self.grants.finish(id, verdict, now));
    }
}
