//! What machines show, judged with what the site knows; the provider is asked where only it can say.

use std::rc::Rc;

use super::Site;
use super::exchanges::{Exchange, Shower};
use crate::config::{Config, LOGIN};
use crate::credential::client_credentials;
use crate::credential::client_credentials::Verdict;
use crate::credential::personal_token;
use crate::credential::verify::{Bench, Shown, Unproved};
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
                self.exchange(&credentials, Shower { stream, peer }, now)
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
        shower: Shower<'_>,
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
        match self.exchanges.show(credentials, shower, &config.session, has_provider, now) {
            Exchange::Counts(identity) => Ok(identity),
            Exchange::Wait => Err(Unproved::Asking),
            Exchange::Refused(refusal) => Err(Unproved::Refused(refusal)),
            Exchange::Unavailable => refused(Reason::ProviderUnreachable, "no verdict"),
            Exchange::Busy => refused(Reason::Busy, "too many unknown credentials"),
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
        self.used_codes.add(token.id, now)
    }

    pub(super) fn on_exchange(&mut self, name: [u8; 16], reply: CalloutReply<'_>, now: UnixTime) {
        let Some(client) = self.exchanges.in_flight(&name).map(str::to_owned) else { return };
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
        self.woken.extend(self.exchanges.finish(name, verdict, now));
    }
}
