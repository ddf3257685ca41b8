//! What machines show, judged with what the site knows; the provider is asked where only it can say.

use std::rc::Rc;

use super::Site;
use super::client_grants::{Outcome, Presenter};
use crate::config::{Config, LOGIN};
use crate::credential::client_credentials;
use crate::credential::client_credentials::Verdict;
use crate::credential::personal_token;
use crate::credential::verify::{Bench, Shown, Unproved};
use crate::foundation::id::{CredentialId, Id, MarkId};
use crate::foundation::limits::CODE;
use crate::foundation::log_text::shown;
use crate::foundation::stream::StreamId;
use crate::foundation::time::UnixTime;
use crate::identity::personal_token::PersonalToken;
use crate::identity::principal::Identity;
use crate::provider::callout::CalloutReply;
use crate::provider::token_endpoint::Credentials;
use crate::refusal::{Reason, Refusal};
use crate::wire::http::authorization::Presented;
use crate::wire::peer::Peer;
use crate::workers::marks::Added;

impl Site {
    /// Judges a credential, for a request that may have to wait for the verdict.
    ///
    /// # Errors
    /// See [`Unproved`].
    pub(crate) fn judge(
        &mut self,
        presented: &Presented<'_>,
        stream: StreamId,
        peer: &dyn Peer,
        now: UnixTime,
    ) -> Result<Identity, Unproved> {
        let config = self.config();
        let judged = match self.bench(&config, peer, now).judge(presented) {
            Err(Unproved::NoKeys) => {
                self.catch_up(now);
                self.bench(&config, peer, now).judge(presented)
            }
            judged => judged,
        };
        match judged? {
            Shown::Proof(identity) => Ok(identity),
            Shown::Credentials(credentials) => {
                self.exchange(&credentials, Presenter { stream, peer }, now)
            }
            Shown::Personal(token) => Ok(self.judge_personal_token(&token, now)?),
        }
    }

    fn bench<'a>(&'a self, config: &'a Config, peer: &'a dyn Peer, now: UnixTime) -> Bench<'a> {
        Bench {
            config,
            keys: &self.keys,
            host: &*self.host,
            peer,
            personal: &self.personal_tokens,
            verified: &self.verified,
            now,
        }
    }

    fn exchange(
        &mut self,
        credentials: &Credentials,
        presenter: Presenter<'_>,
        now: UnixTime,
    ) -> Result<Identity, Unproved> {
        let config = self.config();
        if self.provider.is_none() {
            self.catch_up(now);
        }
        let has_provider = self.provider.is_some();
        let refused = |reason, seen: &str| {
            let seen = format!("client {}: {seen}", credentials.client);
            Err(Unproved::Refused(Refusal::new(reason).seen(seen).wanted("an exchange")))
        };
        match self.client_grants.present(credentials, presenter, &config.session, has_provider, now)
        {
            Outcome::Granted(identity) => Ok(identity),
            Outcome::Wait => Err(Unproved::Asking),
            Outcome::Refused(refusal) => Err(Unproved::Refused(refusal)),
            Outcome::Unavailable => refused(Reason::ProviderUnreachable, "no verdict"),
            Outcome::Busy => refused(Reason::Busy, "too many unknown credentials"),
        }
    }

    /// Whether a personal token still counts.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) fn judge_personal_token(
        &mut self,
        token: &Rc<PersonalToken>,
        now: UnixTime,
    ) -> Result<Identity, Refusal> {
        let config = self.config();
        personal_token::judge(token, &config, &mut self.revocations, now)
    }

    /// Marks the code of a token as used, once for all workers. One that is older than a code may be is
    /// used up as well.
    pub(crate) fn use_terminal_code(&mut self, token: &PersonalToken, now: UnixTime) -> Added {
        if now.is_over(token.issued, CODE) {
            return Added::Known;
        }
        self.used_codes.add(MarkId::from_bytes(token.id.bytes()), now)
    }

    pub(super) fn on_client_grant(
        &mut self,
        id: CredentialId,
        reply: CalloutReply<'_>,
        now: UnixTime,
    ) {
        let Some(client) = self.client_grants.client(id).map(str::to_owned) else { return };
        let config = self.config();
        let verdict =
            client_credentials::judge(&client, reply, self.verifier(&config, now), &config, now);
        if let Verdict::None { seen, unknown_key, .. } = &verdict {
            if *unknown_key {
                self.keys.want_fresher(LOGIN, now);
            }
            let client = shown(&client);
            self.notice(format!("credentials of {client} could not be exchanged: {seen}"));
        }
        self.woken.extend(self.client_grants.finish(id, verdict, now));
    }
}
