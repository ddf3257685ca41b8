//! Access tokens as bearer tokens (RFC 6750): of the login's issuer and of those that
//! `machines.issuers` lists, each with its own keys, audiences and marks.

use std::rc::Rc;

use serde_json::{Map, Value};

use crate::config::{Config, Issuer, LOGIN, Profile};
use crate::foundation::id::IssuerId;
use crate::foundation::limits;
use crate::foundation::time::UnixTime;
use crate::identity::claims_to_role::{at, role_of};
use crate::identity::credential_ref::CredentialRef;
use crate::identity::principal::{Identity, Method, Principal};
use crate::refusal::{Reason, Refusal};
use crate::wire::jose::claims;
use crate::wire::jose::claims::Mismatch;
use crate::wire::jose::compact::Compact;
use crate::wire::jose::verify::{Unverified, Verifier};
use crate::wire::peer::Peer;

const LEEWAY: core::time::Duration = core::time::Duration::from_secs(limits::LEEWAY);

impl From<Mismatch> for Refusal {
    fn from(mismatch: Mismatch) -> Self {
        Self::new(Reason::InvalidToken)
            .about(mismatch.claim)
            .seen(format!("{} {}", mismatch.claim, mismatch.seen))
            .wanted(&mismatch.wanted)
    }
}

/// A token whose issuer we trust; nothing in it is verified.
pub(crate) struct Claimed<'a> {
    token: Compact<'a>,
    /// Place of the issuer in [`Config::issuers`].
    pub(crate) issuer: IssuerId,
}

/// Reads a token, and finds out whose it says to be. Before any key is looked for: a token of
/// another issuer causes no fetch.
///
/// # Errors
/// When it is no token, or of an issuer that is not trusted.
pub(crate) fn read<'a>(token: &'a [u8], config: &Config) -> Result<Claimed<'a>, Mismatch> {
    let token = Compact::parse(token)
        .map_err(|why| Mismatch::new("token", None, format!("a signed token, not {}", why.0)))?;
    let found = config
        .issuers
        .iter()
        .position(|known| claims::text(&token.claims, "iss") == Some(&known.issuer));
    let issuer = found.ok_or_else(|| {
        let known: Vec<&str> = config.issuers.iter().map(|known| known.issuer.as_str()).collect();
        Mismatch::new("iss", token.claims.get("iss"), known.join(" or "))
    })?;
    Ok(Claimed { token, issuer: IssuerId(issuer) })
}

/// A token that counts.
pub(crate) struct VerifiedToken {
    /// Whom it proves.
    pub(crate) identity: Identity,
    /// Not before.
    pub(crate) from: UnixTime,
    /// Whether it counts with a proof of possession only.
    pub(crate) bound: bool,
}

impl Claimed<'_> {
    /// Whether it says that it was issued to this client, and to no other: `azp`, or `client_id` where
    /// providers write that (RFC 9068 §2.2).
    #[must_use]
    pub(crate) fn is_issued_to(&self, client: &str) -> bool {
        let named = ["azp", "client_id"].map(|claim| self.token.claims.get(claim));
        let mut named = named.into_iter().flatten().peekable();
        named.peek().is_some() && named.all(|party| party.as_str() == Some(client))
    }

    /// Judges the token: signature, times, kind, audience, party, what its issuer must say of it,
    /// subject; in this order.
    ///
    /// # Errors
    /// See [`Unverified`].
    pub(crate) fn verify(
        self,
        verifier: Verifier<'_>,
        peer: &dyn Peer,
        config: &Config,
        now: UnixTime,
    ) -> Result<VerifiedToken, Unverified> {
        let Some(issuer) = config.issuer(self.issuer) else {
            return Err(Mismatch::new("iss", None, "a known issuer").into());
        };
        verifier.check(&self.token.jws)?;
        let claims = &self.token.claims;
        // As long as the token is accepted, so long lives what it opened.
        let until = claims::times(claims, now, true)?.plus(LEEWAY);
        kind(&self.token, issuer.profile, config)?;
        possession(claims, peer)?;
        claims::audience(claims, &issuer.audiences)?;
        party(claims, &issuer.authorized_parties)?;
        required(claims, issuer)?;
        let principal = principal(claims, issuer, self.issuer == LOGIN)?;
        let role = issuer.role.or_else(|| role_of(claims, &config.roles));
        let hold = CredentialRef::Issuer(Rc::from(issuer.issuer.as_str()), role);
        Ok(VerifiedToken {
            identity: Identity { principal: Rc::new(principal), role, until: Some(until), hold },
            from: claims::not_before(claims),
            bound: claims.contains_key("cnf"),
        })
    }
}

/// Only access tokens: an ID token may have the same audience, and refresh, offline and logout
/// tokens the same issuer (docs/threats.md T-S2).
fn kind(token: &Compact<'_>, profile: Profile, config: &Config) -> Result<(), Mismatch> {
    let claims = &token.claims;
    let own = token.jws.token_type.as_deref();
    let types: &[&str] = match profile {
        Profile::Rfc9068 => &["at+jwt"],
        Profile::Keycloak | Profile::Generic => &["jwt", "at+jwt"],
    };
    let fits = match own {
        Some(own) => types.contains(&own),
        None => profile != Profile::Rfc9068,
    };
    if !fits {
        return Err(Mismatch::new("header typ", own.map(Value::from).as_ref(), types.join(" or ")));
    }
    claims::not_an_event(claims)?;
    match profile {
        Profile::Keycloak if claims::text(claims, "typ") != Some("Bearer") => {
            return Err(Mismatch::new("typ", claims.get("typ"), "Bearer (an access token)"));
        }
        // RFC 9068 §2.2; the others are required of every token.
        Profile::Rfc9068 => {
            for name in ["client_id", "jti"] {
                if claims::text(claims, name).is_none() {
                    return Err(Mismatch::new(name, claims.get(name), "a string (RFC 9068)"));
                }
            }
        }
        Profile::Generic => not_an_id_token(claims, config)?,
        Profile::Keycloak => {}
    }
    Ok(())
}

/// A token that is bound to a key counts only together with its proof: that of a client certificate
/// (RFC 8705 §3), the only one that is looked at here.
fn possession(members: &Map<String, Value>, peer: &dyn Peer) -> Result<(), Mismatch> {
    let Some(cnf) = members.get("cnf") else { return Ok(()) };
    let thumbprint = match cnf.as_object() {
        Some(methods) if methods.len() == 1 => methods.get("x5t#S256").and_then(Value::as_str),
        _ => None,
    };
    let wanted = "the client certificate that the token is bound to";
    let proved = thumbprint.is_some_and(|thumbprint| {
        peer.certificate().is_some_and(|certificate| certificate.has_thumbprint(thumbprint))
    });
    if proved { Ok(()) } else { Err(Mismatch::new("cnf", None, wanted)) }
}

/// Where nothing marks an access token, what marks an ID token refuses it.
fn not_an_id_token(members: &Map<String, Value>, config: &Config) -> Result<(), Mismatch> {
    for name in ["nonce", "at_hash", "c_hash"] {
        if members.contains_key(name) {
            return Err(Mismatch::new(name, None, "an access token (this is an ID token)"));
        }
    }
    if let Some(typ) = members.get("typ")
        && !matches!(typ.as_str(), Some("Bearer" | "JWT" | "at+jwt"))
    {
        return Err(Mismatch::new("typ", Some(typ), "an access token"));
    }
    let client = core::slice::from_ref(&config.client_id);
    if claims::audience(members, client).is_ok() {
        return Err(Mismatch::new(
            "aud",
            members.get("aud"),
            "an audience other than the login's client",
        ));
    }
    Ok(())
}

fn party(members: &Map<String, Value>, allowed: &[String]) -> Result<(), Mismatch> {
    let azp = claims::text(members, "azp").filter(|azp| !azp.is_empty());
    if azp.is_none() && members.contains_key("azp") {
        return Err(Mismatch::new("azp", members.get("azp"), "the name of a client"));
    }
    if allowed.is_empty() || azp.is_some_and(|azp| allowed.iter().any(|party| party == azp)) {
        return Ok(());
    }
    Err(Mismatch::new("azp", members.get("azp"), allowed.join(" or ")))
}

/// `claims` of the issuer's settings: each is a string, and one of those that are listed.
fn required(claims: &Map<String, Value>, issuer: &Issuer) -> Result<(), Mismatch> {
    for (path, allowed) in &issuer.claims {
        let value = at(claims, path);
        let fits = value
            .and_then(Value::as_str)
            .is_some_and(|value| allowed.iter().any(|own| own == value));
        if !fits {
            let wanted = format!("{} to be {}", path.join("."), allowed.join(" or "));
            return Err(Mismatch::new("required claim", value, wanted));
        }
    }
    Ok(())
}

/// A client's own token (Keycloak: service account, no session) is a client's; any other is a
/// person's. The kinds stay apart (RFC 9700 §4.15), and so do the subjects of different issuers.
fn principal(
    members: &Map<String, Value>,
    issuer: &Issuer,
    is_login: bool,
) -> Result<Principal, Mismatch> {
    let subject = claims::subject(members)?;
    let username = claims::text(members, "preferred_username");
    let client = claims::text(members, "azp").filter(|azp| {
        issuer.profile == Profile::Keycloak
            && username.and_then(|name| name.strip_prefix("service-account-")) == Some(azp)
            && !members.contains_key("sid")
            && !members.contains_key("auth_time")
    });
    let of = if is_login { String::new() } else { format!("{}#", issuer.issuer) };
    let (id, name) = match client {
        Some(client) => (format!("client:{of}{client}"), client),
        // Issuers for machines have no people.
        None if issuer.profile != Profile::Keycloak => (format!("client:{of}{subject}"), subject),
        None => (format!("user:{of}{subject}"), username.unwrap_or(subject)),
    };
    let name = name.chars().filter(|c| !c.is_control()).take(128).collect();
    Ok(Principal { id, name, email: None, method: Method::Bearer })
}
