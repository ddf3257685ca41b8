//! The one place that grants. A [`Permit`] has no other constructor, and nothing is forwarded
//! without one (invariant I1).

use std::rc::Rc;

use crate::http::target::Target;
use crate::policy::hold::Hold;
use crate::policy::principal::{Identity, Method, Principal};
use crate::policy::role::Role;
use crate::prefect::operations::{self, Operation};
use crate::prefect::sockets::KnownSocket;
use crate::refusal::{Reason, Refusal};
use crate::time::UnixTime;

/// Proof that a request may reach Prefect, and as whom.
#[derive(Debug)]
pub struct Permit {
    grant: Grant,
}

#[derive(Debug)]
enum Grant {
    Public,
    Handshake,
    Identity { principal: Rc<Principal>, role: Role, until: Option<UnixTime>, hold: Hold },
}

impl Permit {
    /// The identity that Prefect may be told, and whose requests carry Prefect's credential.
    #[must_use]
    pub fn identity(&self) -> Option<(&Principal, Role)> {
        match &self.grant {
            Grant::Identity { principal, role, .. } => Some((principal, *role)),
            Grant::Public | Grant::Handshake => None,
        }
    }

    /// Whose a socket is, and what it hangs on.
    #[must_use]
    pub const fn holder(&self) -> Option<(&Rc<Principal>, &Hold)> {
        match &self.grant {
            Grant::Identity { principal, hold, .. } => Some((principal, hold)),
            Grant::Public | Grant::Handshake => None,
        }
    }

    /// When what was proved ends; a socket does not outlive it.
    #[must_use]
    pub const fn until(&self) -> Option<UnixTime> {
        match &self.grant {
            Grant::Identity { until, .. } => *until,
            Grant::Public | Grant::Handshake => None,
        }
    }

    /// How it was proved, for logs.
    #[must_use]
    pub fn method(&self) -> Method {
        match &self.grant {
            Grant::Identity { principal, .. } => principal.method,
            Grant::Public | Grant::Handshake => Method::Anonymous,
        }
    }
}

/// A path that the operator opened: exact, `GET`, without a credential for Prefect.
///
/// # Errors
/// When it is none of them.
pub fn public(
    method: &str,
    target: &Target<'_>,
    public_paths: &[String],
) -> Result<Permit, NotPublic> {
    let open = method == "GET" && public_paths.iter().any(|path| path == target.path());
    if open { Ok(Permit { grant: Grant::Public }) } else { Err(NotPublic) }
}

/// The target is not open to everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotPublic;

/// The handshake of a known socket whose client shows its credential in the first frame: it goes
/// to Prefect without any frame. The caller holds the [`crate::ws::pending::Slot`] that bounds it.
#[must_use]
pub fn handshake(_socket: &KnownSocket, _slot: &crate::ws::pending::Slot) -> Permit {
    Permit { grant: Grant::Handshake }
}

/// An identity that wants to do something.
///
/// # Errors
/// [`Reason::NoRole`] or [`Reason::RoleMissing`], with the operation and the roles that may.
pub fn identity(identity: Identity, operation: &Operation<'_>) -> Result<Permit, Refusal> {
    let Identity { principal, role, until, hold } = identity;
    let needed = operations::roles_for(operation);
    let Some(role) = role else {
        return Err(Refusal::new(Reason::NoRole)
            .seen("no role")
            .wanted(needed.names())
            .by(principal));
    };
    if !needed.include(role) {
        let seen = format!("role {} for {operation}", role.name());
        return Err(Refusal::new(Reason::RoleMissing)
            .seen(seen)
            .wanted(needed.names())
            .by(principal));
    }
    Ok(Permit { grant: Grant::Identity { principal, role, until, hold } })
}
