//! Whether an open socket may go on: what it was opened with must still be good, by the settings as they
//! are now.

use super::Site;
use crate::machine::{api_key, certificate, personal_token};
use crate::policy::authorize;
use crate::policy::hold::Hold;
use crate::policy::principal::Identity;
use crate::stream::StreamId;
use crate::time::UnixTime;
use crate::ws::open::OpenSocket;

/// What becomes of an open socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on until then, or without a bound in time.
    GoesOn(Option<UnixTime>),
    /// It ends.
    Ends,
}

impl Site {
    /// Whether a socket's time is over; what may go on is given a new time.
    pub fn socket_is_over(&mut self, stream: StreamId, now: UnixTime) -> bool {
        let Some(open) = self.sockets.find(stream) else { return true };
        if !open.is_due(now) {
            return false;
        }
        let open = open.clone();
        match self.fate(&open, now) {
            Fate::GoesOn(until) => {
                self.sockets.extend(stream, until);
                false
            }
            Fate::Ends => true,
        }
    }

    /// Judges a socket anew, by this site's settings.
    pub fn fate(&mut self, open: &OpenSocket, now: UnixTime) -> Fate {
        let Some(identity) = self.still(open, now) else { return Fate::Ends };
        let operation = open.known.operation();
        let Ok(permit) = authorize::identity(identity, &operation, &self.config.roles) else {
            return Fate::Ends;
        };
        let all = permit.mask().is_none();
        let in_time = permit.until().is_none_or(|until| now < until);
        // What has been asked for in whole can't be had in part later.
        if in_time && (all || open.in_part) { Fate::GoesOn(permit.until()) } else { Fate::Ends }
    }

    /// Whom the socket's hold proves now.
    fn still(&mut self, open: &OpenSocket, now: UnixTime) -> Option<Identity> {
        let config = self.config();
        match &open.hold {
            Hold::Nothing => None,
            Hold::Issuer(issuer, role) => {
                let known = config.issuers.iter().any(|own| own.issuer == **issuer);
                let identity = Identity {
                    principal: open.principal.clone(),
                    role: *role,
                    until: open.until,
                    hold: open.hold.clone(),
                };
                (config.machines.bearer && known).then_some(identity)
            }
            Hold::ApiKey(digest) => api_key::by_digest(digest, &config, now).ok(),
            Hold::Exchanged(name) => {
                let client = open.principal.id.strip_prefix("client:").unwrap_or_default();
                let may = config.machines.client_credentials.as_ref()?.may(client);
                may.then(|| self.exchanges.holds(name, &config.session, now)).flatten()
            }
            Hold::PersonalToken(token) => {
                personal_token::judge(token, &config, &mut self.revocations, now).ok()
            }
            Hold::Certificate(name) => certificate::by_name(name, &config),
            Hold::AuthString => {
                let identity = crate::machine::judge::auth_string();
                config.machines.accept_auth_string.then_some(identity)
            }
        }
    }
}
