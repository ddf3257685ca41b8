//! Rechecks of open sockets: their credential must still be valid under the present settings.

use super::Site;
use crate::config::Config;
use crate::credential::{api_key, certificate, password, personal_token};
use crate::foundation::limits::{
    PENDING_SOCKETS_IN_ALL, SOCKETS_OF_PEOPLE_IN_ALL, SOCKETS_OF_PERSON_IN_ALL,
};
use crate::foundation::stream::StreamId;
use crate::foundation::time::UnixTime;
use crate::identity::credential_ref::CredentialRef;
use crate::identity::principal::Identity;
use crate::policy::authorize;
use crate::site::open_sockets::{OpenSocket, SocketQuota};

/// The verdict on an open socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SocketVerdict {
    /// The socket may stay open until this time, or without a time limit.
    Keep(Option<UnixTime>),
    /// The socket must end.
    Close,
}

impl Site {
    /// Gives this worker its part of the limits on sockets, which all workers share.
    pub(super) fn divide_limits(&mut self, now: UnixTime) {
        self.census.renew(now);
        self.pending.limit(self.census.share(PENDING_SOCKETS_IN_ALL));
        self.sockets.limit(SocketQuota {
            person: self.census.share(SOCKETS_OF_PERSON_IN_ALL),
            people: self.census.share(SOCKETS_OF_PEOPLE_IN_ALL),
        });
    }

    /// Returns the sockets to end now: silent ones, and those whose credential is no longer valid.
    ///
    /// `newer` is the site of a newer configuration, if there is one. Its settings apply, because a
    /// socket may be older than they are.
    pub fn sockets_to_end(&mut self, mut newer: Option<&mut Self>, now: UnixTime) -> Vec<StreamId> {
        let mut ended = self.pending.expire(now);
        for (stream, open) in self.sockets.to_be_judged(newer.is_some(), now) {
            let verdict = match &mut newer {
                None => self.socket_verdict(&open, now),
                Some(newer) if judge_alike(&open.credential, &self.config, &newer.config) => {
                    newer.socket_verdict(&open, now)
                }
                Some(_) => SocketVerdict::Close,
            };
            match verdict {
                SocketVerdict::Keep(until) => self.sockets.extend(stream, until),
                SocketVerdict::Close => ended.push(stream),
            }
        }
        ended
    }

    /// Returns whether a socket has ended. A socket that may stay open gets a new time limit.
    pub(crate) fn socket_is_over(&mut self, stream: StreamId, now: UnixTime) -> bool {
        let Some(open) = self.sockets.find(stream) else { return true };
        if !open.is_due(now) {
            return false;
        }
        let open = open.clone();
        match self.socket_verdict(&open, now) {
            SocketVerdict::Keep(until) => {
                self.sockets.extend(stream, until);
                false
            }
            SocketVerdict::Close => true,
        }
    }

    /// Checks a socket again under this site's settings.
    pub(crate) fn socket_verdict(&mut self, open: &OpenSocket, now: UnixTime) -> SocketVerdict {
        let Some(identity) = self.still(open, now) else { return SocketVerdict::Close };
        let operation = open.known.operation();
        let Ok(permit) = authorize::identity(identity, &operation, &self.config.roles) else {
            return SocketVerdict::Close;
        };
        let all = permit.mask().is_none();
        let in_time = permit.until().is_none_or(|until| now < until);
        // An unfiltered event stream can't be filtered later.
        if in_time && (all || open.filtered) {
            SocketVerdict::Keep(permit.until())
        } else {
            SocketVerdict::Close
        }
    }

    /// Returns the identity that the socket's credential proves now.
    fn still(&mut self, open: &OpenSocket, now: UnixTime) -> Option<Identity> {
        let config = self.config();
        match &open.credential {
            CredentialRef::Session => None,
            CredentialRef::AccessToken { role, .. } => {
                let identity = Identity {
                    principal: open.principal.clone(),
                    role: *role,
                    until: open.until,
                    credential: open.credential.clone(),
                };
                config.machines.bearer.then_some(identity)
            }
            CredentialRef::ApiKey(digest) => api_key::by_digest(digest, &config, now).ok(),
            CredentialRef::ClientCredentials(id) => {
                let client = open.principal.id.strip_prefix("client:").unwrap_or_default();
                let is_allowed = config.machines.client_credentials.as_ref()?.may(client);
                is_allowed.then(|| self.grants.still_granted(*id, &config.session, now)).flatten()
            }
            CredentialRef::OpaqueToken(id) => {
                let is_allowed = config.machines.bearer && config.machines.introspection.is_some();
                is_allowed.then(|| self.grants.still_granted(*id, &config.session, now)).flatten()
            }
            CredentialRef::PersonalToken(token) => {
                personal_token::verify(token, &config, &mut self.revocations, now).ok()
            }
            CredentialRef::Certificate(name) => certificate::by_name(name, &config),
            CredentialRef::Password(digest) => password::by_digest(digest, &config, now),
            CredentialRef::AuthString => {
                let identity = crate::credential::verifier::auth_string();
                config.machines.accept_auth_string.then_some(identity)
            }
        }
    }
}

/// Returns whether two configurations judge a credential by the same rules, as far as the check of
/// an open socket can't apply the newer ones.
fn judge_alike(credential: &CredentialRef, one: &Config, other: &Config) -> bool {
    match credential {
        CredentialRef::AccessToken { issuer, .. } => one.judges_tokens_like(other, issuer),
        // The newer settings are applied to these.
        CredentialRef::Session
        | CredentialRef::ApiKey(_)
        | CredentialRef::ClientCredentials(_)
        | CredentialRef::OpaqueToken(_)
        | CredentialRef::PersonalToken(_)
        | CredentialRef::Certificate(_)
        | CredentialRef::Password(_)
        | CredentialRef::AuthString => true,
    }
}
