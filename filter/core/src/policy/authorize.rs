//! The only place that grants requests.
//!
//! Only functions of this module create a [`Permit`], and no request is forwarded without one
//! (invariant I1).

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

/// Proof that a request may reach Prefect, and with which identity.
#[derive(Debug)]
pub struct Permit {
    grant: Grant,
    /// The refusal that the request would get without `roles.report_only`.
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
        credential: CredentialRef,
        mask: Option<Mask>,
    },
}

impl Permit {
    const fn granted(grant: Grant) -> Self {
        Self { grant, reported: None }
    }

    /// Returns the refusal that `roles.report_only` turned into a report.
    #[must_use]
    pub(crate) fn reported(&self) -> Option<&Refusal> {
        self.reported.as_deref()
    }

    /// Returns the identity of the request, if it has one.
    ///
    /// Prefect's credential and the identity headers go only with such a request. The role may be
    /// `None` only with `roles.report_only`.
    #[must_use]
    pub(crate) const fn identity(&self) -> Option<(&Rc<Principal>, Option<Role>)> {
        match &self.grant {
            Grant::Identity { principal, role, .. } => Some((principal, *role)),
            Grant::Public | Grant::Handshake => None,
        }
    }

    /// Returns the principal that opens a socket, and the credential that must stay valid for it.
    #[must_use]
    pub(crate) const fn socket_owner(&self) -> Option<(&Rc<Principal>, &CredentialRef)> {
        match &self.grant {
            Grant::Identity { principal, credential, .. } => Some((principal, credential)),
            Grant::Public | Grant::Handshake => None,
        }
    }

    /// Returns the time at which the proof of identity expires, which ends a socket as well.
    #[must_use]
    pub(crate) const fn until(&self) -> Option<UnixTime> {
        match &self.grant {
            Grant::Identity { until, .. } => *until,
            Grant::Public | Grant::Handshake => None,
        }
    }

    /// Returns which part of the response must be removed for this identity.
    #[must_use]
    pub(crate) const fn mask(&self) -> Option<Mask> {
        match &self.grant {
            Grant::Identity { mask, .. } => *mask,
            Grant::Public | Grant::Handshake => None,
        }
    }

    /// Returns the authentication method, for logs.
    #[must_use]
    pub(crate) fn method(&self) -> Method {
        match &self.grant {
            Grant::Identity { principal, .. } => principal.method,
            Grant::Public | Grant::Handshake => Method::Anonymous,
        }
    }
}

/// Grants a `GET` request for exactly one of the configured public paths.
///
/// Prefect's credential is not added to such a request.
///
/// # Errors
/// When the request is not a `GET` request for a public path.
pub(crate) fn public(
    method: &str,
    target: &Target<'_>,
    public_paths: &[String],
) -> Result<Permit, NotPublic> {
    let open = method == "GET" && public_paths.iter().any(|path| path == target.path());
    if open { Ok(Permit::granted(Grant::Public)) } else { Err(NotPublic) }
}

/// The target is not public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotPublic;

/// Grants the handshake of a known socket whose client sends its credential in the first frame.
///
/// Prefect receives the handshake but no frame. The [`crate::policy::pending_handshakes::Slot`]
/// proves that the number of such handshakes is limited.
#[must_use]
pub(crate) fn handshake(
    _socket: &KnownSocket,
    _slot: &crate::policy::pending_handshakes::Slot,
) -> Permit {
    Permit::granted(Grant::Handshake)
}

/// Grants an operation to an authenticated identity whose role allows it.
///
/// With `roles.report_only` every authenticated identity gets a permit, which holds the refusal
/// that would apply otherwise.
///
/// # Errors
/// [`Reason::NoRole`] or [`Reason::RoleMissing`], with the operation and the roles that allow it.
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
    let Identity { principal, role, until, credential } = identity;
    let grant = Grant::Identity { principal, role, until, credential, mask };
    Ok(Permit { grant, reported: reported.map(Box::new) })
}

/// Checks that an identity's role allows an operation, regardless of `roles.report_only`.
///
/// # Errors
/// [`Reason::NoRole`] or [`Reason::RoleMissing`], with the operation and the roles that allow it.
pub(crate) fn may(identity: &Identity, operation: &Operation<'_>) -> Result<(), Refusal> {
    let needed = operations::roles_for(operation);
    let refused = |reason, seen: String| {
        let refusal = Refusal::new(reason).seen(seen).wanted(needed.names());
        Err(refusal.by(&identity.principal, identity.role))
    };
    match identity.role {
        None => refused(Reason::NoRole, format!("no role for {operation}")),
        Some(role) if !needed.include(role) => {
            refused(Reason::RoleMissing, format!("role {} for {operation}", role.name()))
        }
        Some(_) => Ok(()),
    }
}

/// Returns the refusal for an operation whose response would be masked for an identity.
///
/// It is only reported with `roles.report_only`. It applies to `auth_request`, where another proxy
/// forwards the response and nothing would mask it.
pub(crate) fn masked(identity: &Identity, operation: &Operation<'_>, mask: Mask) -> Refusal {
    let role = identity.role.map_or("none", Role::name);
    Refusal::new(Reason::Masked)
        .seen(format!("role {role} for {operation}, whose answer would be masked"))
        .wanted(mask.roles().names())
        .by(&identity.principal, identity.role)
}
