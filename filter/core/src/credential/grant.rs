//! Credentials that only the provider can verify, and what it grants for them.

use core::time::Duration;
use std::rc::Rc;

use crate::foundation::codec::{Reader, Writer};
use crate::foundation::id::CredentialId;
use crate::foundation::limits::LEEWAY;
use crate::foundation::log_text::shown;
use crate::foundation::secret::Secret;
use crate::foundation::time::UnixTime;
use crate::identity::credential_ref::CredentialRef;
use crate::identity::principal::{Identity, Method, Principal};
use crate::identity::role::Role;
use crate::provider::token_endpoint::Credentials;
use crate::refusal::Refusal;
use crate::workers::answers::Answer;

/// A credential that only the provider can verify.
#[derive(Clone, Debug)]
pub(crate) enum RemoteCredential {
    /// The name and secret of a client, for a client credentials grant.
    Client(Credentials),
    /// An access token, for introspection.
    Token(Secret),
}

impl RemoteCredential {
    /// Returns the name of the client; `None` for a token, which reveals none.
    #[must_use]
    pub(crate) fn client(&self) -> Option<&str> {
        match self {
            Self::Client(credentials) => Some(&credentials.client),
            Self::Token(_) => None,
        }
    }

    /// Describes the credential for log lines, without any secret.
    #[must_use]
    pub(crate) fn described(&self) -> String {
        match self {
            Self::Client(credentials) => format!("client {}", shown(&credentials.client)),
            Self::Token(_) => "a token".to_owned(),
        }
    }
}

/// What the provider granted for a valid credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// The principal's id with its kind, such as `client:etl`.
    pub(crate) id: String,
    /// The principal's display name.
    pub(crate) name: String,
    /// The kind of the credential.
    pub(crate) kind: GrantKind,
    /// The principal's role.
    pub(crate) role: Option<Role>,
    /// When the provider answered.
    pub(crate) at: UnixTime,
    /// When the token expires, with the leeway of any token.
    pub(crate) end: UnixTime,
}

/// The kind of the credential behind a [`Grant`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GrantKind {
    /// Client credentials.
    ClientCredentials,
    /// An introspected access token.
    OpaqueToken,
}

/// Whether an earlier grant may still be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Validity {
    /// The grant is valid.
    Fresh,
    /// The grant is valid, but its token expires soon, so the provider should be asked again.
    Aging,
    /// The provider must be asked. The grant is valid only if the provider is unreachable.
    Due,
    /// The grant has expired.
    Over,
}

impl Grant {
    /// Returns whether the grant may be used now.
    ///
    /// A change at the provider takes effect within `recheck`. Without the provider a grant is
    /// valid for another `grace`. It never outlives its token.
    #[must_use]
    pub(crate) fn validity(&self, recheck: Duration, grace: Duration, now: UnixTime) -> Validity {
        if now >= self.end || now.is_over(self.at, recheck.saturating_add(grace)) {
            return Validity::Over;
        }
        if now.is_over(self.at, recheck) {
            return Validity::Due;
        }
        if self.kind == GrantKind::OpaqueToken {
            // Asking again does not make the token live longer.
            return Validity::Fresh;
        }
        let life = self.end.since(self.at);
        // A token that expires before it must be rechecked is renewed at its expiry at the
        // provider, while the leeway still keeps it valid here.
        let lead = Duration::from_secs(LEEWAY).min(life.checked_div(2).unwrap_or_default());
        if self.end.since(now) <= lead { Validity::Aging } else { Validity::Fresh }
    }

    /// Returns the identity that the credential proves, which is valid until the grant must be
    /// rechecked.
    #[must_use]
    pub(crate) fn identity(&self, id: CredentialId, recheck: Duration) -> Identity {
        let (method, credential) = match self.kind {
            GrantKind::ClientCredentials => {
                (Method::ClientCredentials, CredentialRef::ClientCredentials(id))
            }
            GrantKind::OpaqueToken => (Method::OpaqueToken, CredentialRef::OpaqueToken(id)),
        };
        let (id, name) = (self.id.clone(), self.name.clone());
        Identity {
            principal: Rc::new(Principal { id, name, email: None, method }),
            role: self.role,
            until: Some(self.end.min(self.at.plus(recheck))),
            credential,
        }
    }
}

/// What the provider's answer about a credential means.
#[derive(Debug)]
pub(crate) enum GrantReply {
    /// The credential is valid.
    Good(Grant),
    /// The credential is invalid, or its token is not accepted here.
    Refused(Refusal),
    /// The provider gave no verdict.
    NoVerdict {
        /// What was seen, for logs.
        seen: String,
        /// Whether the provider did not answer at all. Other requests then do not ask it for a
        /// moment.
        silent: bool,
        /// Whether the token's key is unknown, so that the keys must be fetched first.
        unknown_key: bool,
    },
}

impl Answer for Grant {
    fn encode(&self) -> Vec<u8> {
        let kind = match self.kind {
            GrantKind::ClientCredentials => 0,
            GrantKind::OpaqueToken => 1,
        };
        Writer::default()
            .number(self.at.millis())
            .number(self.end.millis())
            .number(kind)
            .bytes(self.id.as_bytes())
            .bytes(self.name.as_bytes())
            .optional(self.role.map(Role::name))
            .finish()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Reader::new(bytes);
        let at = UnixTime::from_millis(fields.number()?);
        let end = UnixTime::from_millis(fields.number()?);
        let kind = match fields.number()? {
            0 => GrantKind::ClientCredentials,
            1 => GrantKind::OpaqueToken,
            _ => return None,
        };
        let (id, name) = (fields.text()?, fields.text()?);
        let role = match fields.optional()? {
            Some(name) => Some(Role::named(&name)?),
            None => None,
        };
        fields.is_done().then_some(Self { id, name, kind, role, at, end })
    }

    fn at(&self) -> UnixTime {
        self.at
    }

    fn confirmed(&self) -> UnixTime {
        self.at
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn grant(kind: GrantKind, life: u64) -> Grant {
        let at = UnixTime::from_secs(1000);
        let end = UnixTime::from_secs(1000 + life);
        let role = Some(Role::Worker);
        Grant { id: "client:etl".into(), name: "etl".into(), kind, role, at, end }
    }

    #[test]
    fn validity_is_exact_at_its_edges() {
        use GrantKind::{ClientCredentials, OpaqueToken};
        use Validity::{Aging, Due, Fresh, Over};
        let validity = |kind, life, millis| {
            let (recheck, grace) = (Duration::from_secs(300), Duration::from_secs(3600));
            grant(kind, life).validity(recheck, grace, UnixTime::from_millis(millis))
        };
        for kind in [ClientCredentials, OpaqueToken] {
            // For a token that lives longer than recheck, the provider is asked once per recheck.
            assert_eq!(validity(kind, 10_000, 1_299_999), Fresh);
            assert_eq!(validity(kind, 10_000, 1_300_000), Due);
            assert_eq!(validity(kind, 10_000, 4_899_999), Due);
            assert_eq!(validity(kind, 10_000, 4_900_000), Over);
            // The clock is set back.
            assert_eq!(validity(kind, 10_000, 900_000), Over);
            assert_eq!(validity(kind, 200, 1_139_999), Fresh);
            assert_eq!(validity(kind, 200, 1_200_000), Over);
        }
        // A client can get another token. It asks for one a minute before the end of a token that
        // lives shorter than recheck, or at half of its life if that is later.
        assert_eq!(validity(ClientCredentials, 200, 1_140_000), Aging);
        assert_eq!(validity(ClientCredentials, 200, 1_199_999), Aging);
        assert_eq!(validity(ClientCredentials, 20, 1_009_999), Fresh);
        assert_eq!(validity(ClientCredentials, 20, 1_010_000), Aging);
        // A presented token ends when it ends.
        assert_eq!(validity(OpaqueToken, 200, 1_199_999), Fresh);
    }

    /// Of two grants in the shared store, the newer one wins.
    #[test]
    fn a_grant_is_as_old_as_the_provider_s_answer() {
        let grant = grant(GrantKind::OpaqueToken, 60);
        assert_eq!((grant.at(), grant.confirmed()), (grant.at, grant.at));
    }

    #[test]
    fn what_is_encoded_decodes_and_nothing_else_does() {
        for kind in [GrantKind::ClientCredentials, GrantKind::OpaqueToken] {
            let bytes = grant(kind, 60).encode();
            assert_eq!(Grant::decode(&bytes), Some(grant(kind, 60)));
            assert!((0..bytes.len()).all(|length| Grant::decode(&bytes[..length]).is_none()));
            assert_eq!(Grant::decode(&[bytes.as_slice(), &[0]].concat()), None);
        }
    }
}
