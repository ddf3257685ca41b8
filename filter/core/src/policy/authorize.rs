//! The one place that grants. A [`Permit`] has no other constructor, and nothing is forwarded
//! without one (invariant I1).

use std::rc::Rc;

use crate::foundation::time::UnixTime;
use crate::identity::claims_to_role::Roles;
use crate::identity::credential_ref::CredentialRef;
use crate::identity::principal::{Identity, Method, Principal};
use crate::identity::role::Role;
use crate::prefect::masks::Mask;
use crate::prefect::operations;
use crate::prefect::operations::Operation;
use crate::prefect::sockets::KnownSocket;
use crate::refusal::{Reason, Refusal};
use crate::wire::http::target::Target;

/// Proof that a request may reach Prefect, and as whom.
#[derive(Debug)]
pub struct Permit {
    grant: Grant,
    /// Why it would be refused, if roles were not only reported.
    reported: Option<Box<Refusal>>,
}

#[derive(Debug)]
enum Grant {
    Public,
    Handshake,
    Identity {
        principal: Rc<Principal>,
        role: Option<Role>,
        until: Option<UnixTime>,
        hold: CredentialRef,
        mask: Option<Mask>,
    },
}

impl Permit {
    const fn granted(grant: Grant) -> Self {
        Self { grant, reported: None }
    }

    /// The refusal that `roles.report_only` has turned into a report.
    #[must_use]
    pub(crate) fn reported(&self) -> Option<&Refusal> {
        self.reported.as_deref()
    }

    /// The identity that Prefect may be told, and whose requests carry Prefect's credential. Without a
    /// role where roles are only reported.
    #[must_use]
    pub(crate) fn identity(&self) -> Option<(&Principal, Option<Role>)> {
        match &self.grant {
            Grant::Identity { principal, role, .. } => Some((principal, *role)),
            Grant::Public | Grant::Handshake => None,
        }
    }

    /// Whose a socket is, and what it hangs on.
    #[must_use]
    pub(crate) const fn socket_owner(&self) -> Option<(&Rc<Principal>, &CredentialRef)> {
        match &self.grant {
            Grant::Identity { principal, hold, .. } => Some((principal, hold)),
            Grant::Public | Grant::Handshake => None,
        }
    }

    /// When what was proved ends; a socket does not outlive it.
    #[must_use]
    pub(crate) const fn until(&self) -> Option<UnixTime> {
        match &self.grant {
            Grant::Identity { until, .. } => *until,
            Grant::Public | Grant::Handshake => None,
        }
    }

    /// What of the answer is not for it, and must be taken out.
    #[must_use]
    pub(crate) const fn mask(&self) -> Option<Mask> {
        match &self.grant {
            Grant::Identity { mask, .. } => *mask,
            Grant::Public | Grant::Handshake => None,
        }
    }

    /// How it was proved, for logs.
    #[must_use]
    pub(crate) fn method(&self) -> Method {
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
pub(crate) fn public(
    method: &str,
    target: &Target<'_>,
    public_paths: &[String],
) -> Result<Permit, NotPublic> {
    let open = method == "GET" && public_paths.iter().any(|path| path == target.path());
    if open { Ok(Permit::granted(Grant::Public)) } else { Err(NotPublic) }
}

/// The target is not open to everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotPublic;

/// The handshake of a known socket whose client shows its credential in the first frame: it goes
/// to Prefect without any frame. The caller holds the [`crate::policy::pending_handshakes::Slot`] that bounds it.
#[must_use]
pub(crate) fn handshake(
    _socket: &KnownSocket,
    _slot: &crate::policy::pending_handshakes::Slot,
) -> Permit {
    Permit::granted(Grant::Handshake)
}

/// An identity that wants to do something. Where roles are only reported everybody who is proved may, and
/// the permit says what it would have been refused for.
///
/// # Errors
/// [`Reason::NoRole`] or [`Reason::RoleMissing`], with the operation and the roles that may.
pub(crate) fn identity(
    identity: Identity,
    operation: &Operation<'_>,
    roles: &Roles,
) -> Result<Permit, Refusal> {
    let mask = Mask::of(operation, identity.role);
    let reported = match may(&identity, operation) {
        Ok(()) if roles.report_only => mask.map(|mask| masked(&identity, operation, mask)),
        Ok(()) => None,
        Err(refusal) if roles.report_only => Some(refusal),
        Err(refusal) => return Err(refusal),
    };
    let mask = mask.filter(|_| !roles.report_only);
    let Identity { principal, role, until, hold } = identity;
    let grant = Grant::Identity { principal, role, until, hold, mask };
    Ok(Permit { grant, reported: reported.map(Box::new) })
}

/// Whether an identity's role allows it.
///
/// # Errors
/// As [`identity`], where roles are enforced.
pub(crate) fn may(identity: &Identity, operation: &Operation<'_>) -> Result<(), Refusal> {
    let needed = operations::roles_for(operation);
    let refused = |reason, seen: String| {
        let principal = Rc::clone(&identity.principal);
        Err(Refusal::new(reason).seen(seen).wanted(needed.names()).by(principal))
    };
    match identity.role {
        None => refused(Reason::NoRole, format!("no role for {operation}")),
        Some(role) if !needed.include(role) => {
            refused(Reason::RoleMissing, format!("role {} for {operation}", role.name()))
        }
        Some(_) => Ok(()),
    }
}

/// What is said of an answer that an identity gets only a part of: where roles are only reported, and where
/// nobody would take the rest out.
pub(crate) fn masked(identity: &Identity, operation: &Operation<'_>, mask: Mask) -> Refusal {
    let role = identity.role.map_or("none", Role::name);
    Refusal::new(Reason::Masked)
        .seen(format!("role {role} for {operation}, whose answer would be masked"))
        .wanted(mask.roles().names())
        .by(Rc::clone(&identity.principal))
}
