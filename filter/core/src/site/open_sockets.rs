//! Open sockets: their owners, the credentials they depend on, and the limit for each principal.

use std::collections::HashMap;
use std::rc::Rc;

use crate::foundation::limits::{
    SOCKETS_OF_PEOPLE_IN_ALL, SOCKETS_OF_PERSON_IN_ALL, SOCKETS_OF_PRINCIPAL,
};
use crate::foundation::stream::StreamId;
use crate::foundation::time::UnixTime;
use crate::identity::credential_ref::CredentialRef;
use crate::identity::principal::Principal;
use crate::identity::role::Role;
use crate::policy::authorize::Permit;
use crate::prefect::sockets::KnownSocket;

/// The open sockets of one worker.
#[derive(Default)]
pub(crate) struct OpenSockets {
    open: HashMap<StreamId, OpenSocket>,
    quota: SocketQuota,
}

/// How many sockets this worker opens for people.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SocketQuota {
    /// For one of them.
    pub(crate) person: usize,
    /// For all of them.
    pub(crate) people: usize,
}

impl Default for SocketQuota {
    fn default() -> Self {
        Self { person: SOCKETS_OF_PERSON_IN_ALL, people: SOCKETS_OF_PEOPLE_IN_ALL }
    }
}

/// An open socket.
#[derive(Clone, Debug)]
pub(crate) struct OpenSocket {
    /// Which of Prefect's sockets it is.
    pub(crate) known: KnownSocket,
    /// The principal that opened it.
    pub(crate) principal: Rc<Principal>,
    /// The credential that it depends on.
    pub(crate) credential: CredentialRef,
    /// When the credential must be checked again. `None` means that no time is set.
    pub(crate) until: Option<UnixTime>,
    /// Whether some of its events are withheld from its client.
    pub(crate) filtered: bool,
    /// Whether it is a viewer's or an operator's.
    is_of_person: bool,
}

impl OpenSockets {
    /// Sets how many sockets people may open.
    pub(crate) const fn limit(&mut self, quota: SocketQuota) {
        self.quota = quota;
    }

    /// Takes a slot for a permitted socket. Returns `false` if its principal has too many, or
    /// people together do: workers must find room below Prefect's own limit.
    #[must_use]
    pub(crate) fn take(&mut self, stream: StreamId, known: &KnownSocket, permit: &Permit) -> bool {
        let Some((principal, credential)) = permit.socket_owner() else { return false };
        let role = permit.identity().and_then(|(_, role)| role);
        let is_of_person = role.is_none_or(Role::is_for_people);
        let own = self.open.values().filter(|open| open.principal.id == principal.id).count();
        let people = self.open.values().filter(|open| open.is_of_person).count();
        let SocketQuota { person, people: of_people } = self.quota;
        let is_full = if is_of_person { own >= person || people >= of_people } else { false };
        if is_full || own >= SOCKETS_OF_PRINCIPAL {
            return false;
        }
        let (principal, credential) = (Rc::clone(principal), credential.clone());
        let (known, until) = (known.clone(), permit.until());
        let filtered = permit.mask().is_some();
        self.open.insert(
            stream,
            OpenSocket { known, principal, credential, until, filtered, is_of_person },
        );
        true
    }

    /// Returns a socket, if it is open.
    #[must_use]
    pub(crate) fn find(&self, stream: StreamId) -> Option<&OpenSocket> {
        self.open.get(&stream)
    }

    /// Returns the sockets to check: those that are due, and those that may end at any moment.
    /// `all` adds the others.
    #[must_use]
    pub(crate) fn to_be_judged(&self, all: bool, now: UnixTime) -> Vec<(StreamId, OpenSocket)> {
        let due = self.open.iter().filter(|(_, open)| all || open.is_due(now) || open.is_watched());
        due.map(|(stream, open)| (*stream, open.clone())).collect()
    }

    /// Sets the time of a socket's next check.
    pub(crate) fn extend(&mut self, stream: StreamId, until: Option<UnixTime>) {
        if let Some(open) = self.open.get_mut(&stream) {
            open.until = until;
        }
    }

    /// Forgets a socket that has ended.
    pub(crate) fn release(&mut self, stream: StreamId) {
        self.open.remove(&stream);
    }
}

impl OpenSocket {
    /// Returns whether the socket may end at any moment, because the provider can revoke a personal
    /// token.
    const fn is_watched(&self) -> bool {
        match self.credential {
            CredentialRef::PersonalToken(_) => true,
            CredentialRef::Session
            | CredentialRef::AccessToken { .. }
            | CredentialRef::ApiKey(_)
            | CredentialRef::ClientCredentials(_)
            | CredentialRef::OpaqueToken(_)
            | CredentialRef::Certificate(_)
            | CredentialRef::Password(_)
            | CredentialRef::AuthString => false,
        }
    }

    /// Returns whether the credential must be checked now.
    #[must_use]
    pub(crate) fn is_due(&self, now: UnixTime) -> bool {
        self.until.is_some_and(|until| now >= until)
    }
}
