//! Open sockets: whose they are, what they hang on, and how many one principal may have.

use std::collections::HashMap;
use std::rc::Rc;

use crate::foundation::limits::SOCKETS_OF_PRINCIPAL;
use crate::foundation::stream::StreamId;
use crate::foundation::time::UnixTime;
use crate::identity::credential_ref::CredentialRef;
use crate::identity::principal::Principal;
use crate::policy::authorize::Permit;
use crate::prefect::sockets::KnownSocket;

/// See the module.
#[derive(Default)]
pub(crate) struct OpenSockets(HashMap<StreamId, OpenSocket>);

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct OpenSocket {
    /// Which of Prefect's it is.
    pub(crate) known: KnownSocket,
    /// Whose.
    pub(crate) principal: Rc<Principal>,
    /// What it hangs on.
    pub(crate) hold: CredentialRef,
    /// When that must be looked at; `None` for no time.
    pub(crate) until: Option<UnixTime>,
    /// Some of what it brings is not for its client, and is left out.
    pub(crate) filtered: bool,
}

impl OpenSockets {
    /// Takes a place for a socket that was permitted; whether there was one.
    #[must_use]
    pub(crate) fn take(&mut self, stream: StreamId, known: &KnownSocket, permit: &Permit) -> bool {
        let Some((principal, hold)) = permit.socket_owner() else { return false };
        let own = self.0.values().filter(|open| open.principal.id == principal.id).count();
        if own >= SOCKETS_OF_PRINCIPAL {
            return false;
        }
        let (principal, hold) = (Rc::clone(principal), hold.clone());
        let (known, until) = (known.clone(), permit.until());
        let filtered = permit.mask().is_some();
        self.0.insert(stream, OpenSocket { known, principal, hold, until, filtered });
        true
    }

    /// A socket, if it is open.
    #[must_use]
    pub(crate) fn find(&self, stream: StreamId) -> Option<&OpenSocket> {
        self.0.get(&stream)
    }

    /// All whose time has come, or that may end before it; with `all` the others, too.
    #[must_use]
    pub(crate) fn to_be_judged(&self, all: bool, now: UnixTime) -> Vec<(StreamId, OpenSocket)> {
        let due = self.0.iter().filter(|(_, open)| all || open.is_due(now) || open.is_watched());
        due.map(|(stream, open)| (*stream, open.clone())).collect()
    }

    /// It goes on until then.
    pub(crate) fn extend(&mut self, stream: StreamId, until: Option<UnixTime>) {
        if let Some(open) = self.0.get_mut(&stream) {
            open.until = until;
        }
    }

    /// It has ended.
    pub(crate) fn release(&mut self, stream: StreamId) {
        self.0.remove(&stream);
    }
}

impl OpenSocket {
    /// Whether it may end at any moment: the provider's word ends a personal token.
    const fn is_watched(&self) -> bool {
        matches!(self.hold, CredentialRef::PersonalToken(_))
    }

    /// Whether it must be looked at.
    #[must_use]
    pub(crate) fn is_due(&self, now: UnixTime) -> bool {
        self.until.is_some_and(|until| now >= until)
    }
}
