//! Client credentials that a machine sends in Basic. Lictor checks them by requesting a token with
//! them at the provider.
//!
//! The token of the client credentials grant (RFC 6749 §4.4) yields the client's role. A Prefect
//! worker therefore needs neither a sidecar nor code that renews tokens.

use core::time::Duration;
use std::rc::Rc;

use crate::config::{Config, LOGIN};
use crate::credential::bearer;
use crate::foundation::codec::{Reader, Writer};
use crate::foundation::id::CredentialId;
use crate::foundation::limits::{LEEWAY, PROVIDER_TOKEN};
use crate::foundation::secret::Secret;
use crate::foundation::time::UnixTime;
use crate::identity::credential_ref::CredentialRef;
use crate::identity::principal::{Identity, Method, Principal};
use crate::identity::role::Role;
use crate::provider::callout::CalloutReply;
use crate::provider::token_endpoint;
use crate::provider::token_endpoint::NoTokens;
use crate::refusal::{Reason, Refusal};
use crate::wire::jose::claims::Mismatch;
use crate::wire::jose::verify::{Unverified, Verifier};
use crate::wire::peer::NoPeer;
use crate::workers::answers::Answer;

/// What the provider granted for valid client credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    client: String,
    role: Option<Role>,
    /// When the provider answered.
    at: UnixTime,
    /// When the provider's token expires, with the leeway of any token.
    end: UnixTime,
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
        let life = self.end.since(self.at);
        // A token that expires before it must be rechecked is renewed at its expiry at the
        // provider, while the leeway still keeps it valid here.
        let lead = Duration::from_secs(LEEWAY).min(life.checked_div(2).unwrap_or_default());
        if self.end.since(now) <= lead { Validity::Aging } else { Validity::Fresh }
    }

    /// Returns when the token of the grant expires, leeway included.
    #[must_use]
    pub(crate) const fn end(&self) -> UnixTime {
        self.end
    }

    /// Returns the client's identity, which is valid until the grant must be rechecked.
    #[must_use]
    pub(crate) fn identity(&self, id: CredentialId, recheck: Duration) -> Identity {
        let principal = Principal::machine("client", &self.client, Method::ClientCredentials);
        let until = self.end.min(self.at.plus(recheck));
        let credential = CredentialRef::ClientCredentials(id);
        Identity { principal: Rc::new(principal), role: self.role, until: Some(until), credential }
    }
}

/// What the provider's answer to a client credentials request means.
#[derive(Debug)]
pub(crate) enum GrantReply {
    /// The credentials are valid.
    Good(Grant),
    /// The credentials are invalid, or their token is not accepted here.
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

/// Interprets the provider's answer to a client credentials request.
///
/// The token in it must pass the checks of any access token, and it must be issued to the client
/// that asked. A client therefore never gets another client's identity, even if answers are mixed
/// up.
#[must_use]
pub(crate) fn read_reply(
    client: &str,
    reply: CalloutReply<'_>,
    verifier: Option<Verifier<'_>>,
    config: &Config,
    now: UnixTime,
) -> GrantReply {
    let no_verdict =
        |seen: String, silent, unknown_key| GrantReply::NoVerdict { seen, silent, unknown_key };
    let access = match token_endpoint::read(reply) {
        Ok(tokens) => tokens.access,
        Err(NoTokens::InvalidGrant(_) | NoTokens::InvalidClient(_)) => {
            return GrantReply::Refused(
                Refusal::new(Reason::ClientCredentials)
                    .seen(format!("client {client}, refused by the provider"))
                    .wanted("the current secret of a client that may request tokens for itself"),
            );
        }
        Err(NoTokens::OurFault(seen) | NoTokens::Unavailable(seen)) => {
            return no_verdict(seen, false, false);
        }
        Err(NoTokens::NoAnswer(seen)) => return no_verdict(seen, true, false),
    };
    let Some(verifier) = verifier else { return no_verdict("no keys".to_owned(), false, true) };
    match verify(client, &access, verifier, config, now) {
        Ok(grant) => GrantReply::Good(grant),
        Err(Unverified::UnknownKey(kid)) => no_verdict(
            format!("unknown key {}", crate::foundation::log_text::shown(&kid)),
            false,
            true,
        ),
        Err(Unverified::Mismatch(mismatch)) => {
            let about = mismatch.claim;
            let seen = mismatch.of(&format!("token of client {client}"));
            GrantReply::Refused(
                Refusal::new(Reason::InvalidToken).about(about).seen(seen).wanted(mismatch.wanted),
            )
        }
    }
}

/// Verifies the access token that the provider granted to a client.
fn verify(
    client: &str,
    access: &Secret,
    verifier: Verifier<'_>,
    config: &Config,
    now: UnixTime,
) -> Result<Grant, Unverified> {
    let claimed = bearer::read(access.expose(), PROVIDER_TOKEN, config)?;
    if claimed.issuer != LOGIN {
        return Err(Mismatch::new("iss", None, "the issuer that was asked").into());
    }
    let issued_to_client = claimed.is_issued_to(client, config);
    let verified = claimed.verify(verifier, &NoPeer, config, now)?;
    if !issued_to_client {
        return Err(Mismatch::new("azp", None, "the client that asked").into());
    }
    let Identity { role, until, .. } = verified.identity;
    let end = until.unwrap_or(now);
    Ok(Grant { client: client.to_owned(), role, at: now, end })
}

impl Answer for Grant {
    fn encode(&self) -> Vec<u8> {
        Writer::default()
            .number(self.at.millis())
            .number(self.end.millis())
            .bytes(self.client.as_bytes())
            .optional(self.role.map(Role::name))
            .finish()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Reader::new(bytes);
        let at = UnixTime::from_millis(fields.number()?);
        let end = UnixTime::from_millis(fields.number()?);
        let client = fields.text()?;
        let role = match fields.optional()? {
            Some(name) => Some(Role::named(&name)?),
            None => None,
        };
        fields.is_done().then_some(Self { client, role, at, end })
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

    fn grant(life: u64) -> Grant {
        let at = UnixTime::from_secs(1000);
        let end = UnixTime::from_secs(1000 + life);
        Grant { client: "etl".into(), role: Some(Role::Worker), at, end }
    }

    #[test]
    fn validity_is_exact_at_its_edges() {
        use Validity::{Aging, Due, Fresh, Over};
        let validity = |life, millis| {
            let (recheck, grace) = (Duration::from_secs(300), Duration::from_secs(3600));
            grant(life).validity(recheck, grace, UnixTime::from_millis(millis))
        };
        // For a token that lives longer than recheck, the provider is asked once per recheck.
        assert_eq!(validity(10_000, 1_299_999), Fresh);
        assert_eq!(validity(10_000, 1_300_000), Due);
        assert_eq!(validity(10_000, 4_899_999), Due);
        assert_eq!(validity(10_000, 4_900_000), Over);
        // For a shorter one, the provider is asked a minute before its end, or at half of its life
        // if that is later.
        assert_eq!(validity(200, 1_139_999), Fresh);
        assert_eq!(validity(200, 1_140_000), Aging);
        assert_eq!(validity(200, 1_199_999), Aging);
        assert_eq!(validity(200, 1_200_000), Over);
        assert_eq!(validity(20, 1_009_999), Fresh);
        assert_eq!(validity(20, 1_010_000), Aging);
        // The clock is set back.
        assert_eq!(validity(10_000, 900_000), Over);
    }

    /// Of two grants in the shared store, the newer one wins.
    #[test]
    fn a_grant_is_as_old_as_the_provider_s_answer() {
        let grant = grant(60);
        assert_eq!((grant.at(), grant.confirmed()), (grant.at, grant.at));
    }

    #[test]
    fn what_is_encoded_decodes_and_nothing_else_does() {
        let bytes = grant(60).encode();
        assert_eq!(Grant::decode(&bytes), Some(grant(60)));
        assert!((0..bytes.len()).all(|length| Grant::decode(&bytes[..length]).is_none()));
        assert_eq!(Grant::decode(&[bytes.as_slice(), &[0]].concat()), None);
    }
}
