//! Whether an open socket may go on: what it was opened with must still be good, by the settings as they
//! are now.

use super::Site;
use crate::credential::{api_key, certificate, personal_token};
use crate::foundation::stream::StreamId;
use crate::foundation::time::UnixTime;
use crate::identity::credential_ref::CredentialRef;
use crate::identity::principal::Identity;
use crate::policy::authorize;
use crate::site::open_sockets::OpenSocket;

/// The verdict on an open socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SocketVerdict {
    /// It may stay open until then, or without a bound in time.
    Keep(Option<UnixTime>),
    /// It ends.
    Close,
}

impl Site {
    /// The sockets to end now: those that have stayed silent for too long, and those whose credential is no
    /// longer good by the newest settings. `newer` is the site of a newer configuration, if there is one: a
    /// socket may be older than its settings.
    pub fn sockets_to_end(&mut self, mut newer: Option<&mut Self>, now: UnixTime) -> Vec<StreamId> {
        let mut ended = self.pending.expire(now);
        for (stream, open) in self.sockets.to_be_judged(newer.is_some(), now) {
            let verdict = match &mut newer {
                None => self.socket_verdict(&open, now),
                Some(newer) => newer.socket_verdict(&open, now),
            };
            match verdict {
                SocketVerdict::Keep(until) => self.sockets.extend(stream, until),
                SocketVerdict::Close => ended.push(stream),
            }
        }
        ended
    }

    /// Whether a socket's time is over; what may go on is given a new time.
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

    /// Judges a socket anew, by this site's settings.
    pub(crate) fn socket_verdict(&mut self, open: &OpenSocket, now: UnixTime) -> SocketVerdict {
        let Some(identity) = self.still(open, now) else { return SocketVerdict::Close };
        let operation = open.known.operation();
        let Ok(permit) = authorize::identity(identity, &operation, &self.config.roles) else {
            return SocketVerdict::Close;
        };
        let all = permit.mask().is_none();
        let in_time = permit.until().is_none_or(|until| now < until);
        // What has been asked for in whole can't be had in part later.
        if in_time && (all || open.filtered) {
            SocketVerdict::Keep(permit.until())
        } else {
            SocketVerdict::Close
        }
    }

    /// Whom the socket's hold proves now.
    fn still(&mut self, open: &OpenSocket, now: UnixTime) -> Option<Identity> {
        let config = self.config();
        match &open.hold {
            CredentialRef::Session => None,
            CredentialRef::Issuer(issuer, role) => {
                let known = config.issuers.iter().any(|own| own.issuer == **issuer);
                let identity = Identity {
                    principal: open.principal.clone(),
                    role: *role,
                    until: open.until,
                    hold: open.hold.clone(),
                };
                (config.machines.bearer && known).then_some(identity)
            }
            CredentialRef::ApiKey(digest) => api_key::by_digest(digest, &config, now).ok(),
            CredentialRef::ClientCredentials(id) => {
                let client = open.principal.id.strip_prefix("client:").unwrap_or_default();
                let may = config.machines.client_credentials.as_ref()?.may(client);
                may.then(|| self.client_grants.still_granted(*id, &config.session, now)).flatten()
            }
            CredentialRef::PersonalToken(token) => {
                personal_token::verify(token, &config, &mut self.revocations, now).ok()
            }
            CredentialRef::Certificate(name) => certificate::by_name(name, &config),
            CredentialRef::AuthString => {
                let identity = crate::credential::verifier::auth_string();
                config.machines.accept_auth_string.then_some(identity)
            }
        }
    }
}
