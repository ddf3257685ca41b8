//! Bearer access tokens (RFC 6750) of the login's issuer and of those in `machines.issuers`.
//!
//! Each issuer has its own keys, audiences and token profile.

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
use crate::wire::peer::{NoPeer, Peer};

const LEEWAY: core::time::Duration = core::time::Duration::from_secs(limits::LEEWAY);

impl From<Mismatch> for Refusal {
    fn from(mismatch: Mismatch) -> Self {
        Self::new(Reason::InvalidToken)
            .about(mismatch.claim)
            .seen(mismatch.of("token"))
            .wanted(&mismatch.wanted)
    }
}

/// An unverified token that names a trusted issuer.
pub(crate) struct Claimed<'a> {
    token: Compact<'a>,
    /// Index of the issuer in [`Config::issuers`].
    pub(crate) issuer: IssuerId,
}

/// Reads a token of at most `most` bytes and finds the issuer that it names.
///
/// This happens before keys are looked up, so that a token of another issuer causes no fetch.
///
/// # Errors
/// When the text is not a signed token, or its issuer is not trusted.
pub(crate) fn read<'a>(
    token: &'a [u8],
    most: usize,
    config: &Config,
) -> Result<Claimed<'a>, Mismatch> {
    let token = Compact::parse(token, most).map_err(|why| Mismatch::unreadable(why.0))?;
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

/// A token that passed all checks.
pub(crate) struct VerifiedToken {
    /// The identity that the token proves.
    pub(crate) identity: Identity,
    /// Whether the settings admit the bearer (`users.allow`).
    pub(crate) admission: Result<(), Refusal>,
    /// The time before which the token is not valid.
    pub(crate) from: UnixTime,
    /// Whether the token is valid only with a proof of possession.
    pub(crate) bound: bool,
}

impl Claimed<'_> {
    /// Returns whether the token says that it was issued to this client, and names no other client.
    #[must_use]
    pub(crate) fn is_issued_to(&self, client: &str, config: &Config) -> bool {
        let profile = config.issuer(self.issuer).map(|issuer| issuer.profile);
        let names: &[&str] = match profile {
            // Keycloak's service accounts have both.
            Some(Profile::Keycloak) | None => &["azp", "client_id"],
            Some(profile) => profile.client_claims(),
        };
        claims::client(&self.token.claims, names) == Ok(Some(client))
    }

    /// Verifies the token.
    ///
    /// The checks are, in this order: signature, times, kind, proof of possession, audience,
    /// client, authorized party, required claims, subject. The result says whether the bearer is
    /// admitted.
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
        // The leeway is included, so that the identity lasts exactly as long as the token is
        // accepted.
        let until = claims::times(claims, now, true)?.plus(LEEWAY);
        kind(&self.token, issuer.profile, config)?;
        possession(claims, peer)?;
        Ok(judge(claims, issuer, self.issuer == LOGIN, until, config)?)
    }

    /// Checks that the text claims to be an access token, before the provider verifies it.
    pub(crate) fn is_access_token(&self, config: &Config) -> Result<(), Mismatch> {
        match config.issuer(self.issuer) {
            Some(issuer) => kind(&self.token, issuer.profile, config),
            None => Err(Mismatch::new("iss", None, "a known issuer")),
        }
    }
}

/// Verifies the members of an introspection response for an active token (RFC 7662 §2.2).
///
/// They must meet what the claims of a JWT of the login's issuer must. A few may be absent: `iss`
/// and `iat`, and `sub` in a token that a client got for itself.
pub(crate) fn introspected(
    mut members: Map<String, Value>,
    config: &Config,
    now: UnixTime,
) -> Result<VerifiedToken, Mismatch> {
    let Some(issuer) = config.issuer(LOGIN) else {
        return Err(Mismatch::new("iss", None, "a known issuer"));
    };
    if members.contains_key("iss") {
        claims::issuer(&members, &issuer.issuer)?;
    }
    let until = claims::times(&members, now, false)?.plus(LEEWAY);
    let is_bearer = |kind: &str| kind.eq_ignore_ascii_case("Bearer");
    if !claims::text(&members, "token_type").is_some_and(is_bearer) {
        // Refresh tokens are active, too.
        return Err(Mismatch::new("token_type", members.get("token_type"), "Bearer"));
    }
    claims::not_an_event(&members)?;
    // Ory's name for what Cognito calls `access`.
    if claims::text(&members, "token_use") == Some("access_token") {
        members.remove("token_use");
    }
    not_an_id_token(&members, issuer.profile)?;
    match issuer.profile {
        Profile::Keycloak => is_keycloak_access_token(&members)?,
        Profile::Generic => not_for_the_login(&members, config)?,
        Profile::Rfc9068 => {}
    }
    // A grant is used by all connections, so no connection's certificate applies.
    possession(&members, &NoPeer)?;
    let client = claims::client(&members, issuer.profile.client_claims())?.map(str::to_owned);
    if let Some(client) = client.filter(|_| is_without_owner(&members, config)) {
        members.insert("sub".to_owned(), Value::from(client));
    }
    if let Some(username) = members.get("username").cloned() {
        members.entry("preferred_username").or_insert(username);
    }
    judge(&members, issuer, true, until, config)
}

/// Returns whether an introspection response is about a token that its client got for itself, as
/// the lack of a subject tells.
///
/// `sub` is optional for the tokens of people, too. So nothing else may hint at a person, and there
/// is no list of people that the token would get around.
fn is_without_owner(members: &Map<String, Value>, config: &Config) -> bool {
    let scopes = claims::text(members, "scope").unwrap_or_default();
    !["sub", "username", "uid"].into_iter().any(|name| members.contains_key(name))
        && !scopes.split(' ').any(|scope| scope == "openid")
        && config.users.allow.is_none()
}

/// Decides whether the claims of an access token are for us, and whom they name.
fn judge(
    claims: &Map<String, Value>,
    issuer: &Issuer,
    is_login: bool,
    until: UnixTime,
    config: &Config,
) -> Result<VerifiedToken, Mismatch> {
    audience(claims, issuer)?;
    let client = claims::client(claims, issuer.profile.client_claims())?;
    if is_login && issuer.profile == Profile::Generic && client.is_none() {
        // An ID token for another application may have no other mark.
        let names = issuer.profile.client_claims().join(", ");
        return Err(Mismatch::new("azp", None, format!("the client, in {names}")));
    }
    party(client, &issuer.authorized_parties)?;
    required(claims, issuer)?;
    let principal = principal(claims, client, issuer, is_login)?;
    let admission = admission(claims, &principal, issuer, is_login, config);
    let role = issuer.role.or_else(|| role_of(claims, &config.roles));
    let credential = CredentialRef::AccessToken { issuer: Rc::from(issuer.issuer.as_str()), role };
    Ok(VerifiedToken {
        identity: Identity { principal: Rc::new(principal), role, until: Some(until), credential },
        admission,
        from: claims::not_before(claims),
        bound: claims.contains_key("cnf"),
    })
}

/// Checks Keycloak's mark of an access token.
fn is_keycloak_access_token(claims: &Map<String, Value>) -> Result<(), Mismatch> {
    if claims::text(claims, "typ") == Some("Bearer") {
        return Ok(());
    }
    Err(Mismatch::new("typ", claims.get("typ"), "Bearer (an access token)"))
}

/// Checks that a token is an access token (docs/threats.md T-S2).
///
/// An ID token may have the same audience, and refresh, offline and logout tokens the same issuer.
fn kind(token: &Compact<'_>, profile: Profile, config: &Config) -> Result<(), Mismatch> {
    let claims = &token.claims;
    let token_type = token.jws.token_type.as_deref();
    let types: &[&str] = match profile {
        Profile::Rfc9068 => &["at+jwt"],
        Profile::Keycloak => &["jwt", "at+jwt"],
        // The last one is Okta's.
        Profile::Generic => &["jwt", "at+jwt", "okta-internal-at+jwt"],
    };
    let fits = match token_type {
        Some(token_type) => types.contains(&token_type),
        None => profile != Profile::Rfc9068,
    };
    if !fits {
        let seen = token_type.map(Value::from);
        return Err(Mismatch::new("header typ", seen.as_ref(), types.join(" or ")));
    }
    claims::not_an_event(claims)?;
    not_an_id_token(claims, profile)?;
    match profile {
        Profile::Keycloak => is_keycloak_access_token(claims)?,
        // Every token needs the other required claims of RFC 9068 §2.2, so only these remain.
        Profile::Rfc9068 => {
            for name in ["client_id", "jti"] {
                if claims::text(claims, name).is_none() {
                    return Err(Mismatch::new(name, claims.get(name), "a string (RFC 9068)"));
                }
            }
        }
        // Nothing else tells an ID token of a provider without marks.
        Profile::Generic => not_for_the_login(claims, config)?,
    }
    Ok(())
}

/// Checks that the client has the key to which a token is bound, if the token is bound to one.
///
/// Client certificates (RFC 8705 §3) are the only supported proof of possession. A token with
/// another binding is refused.
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

/// Refuses a token that has a mark of an ID token, whatever the issuer's profile.
fn not_an_id_token(members: &Map<String, Value>, profile: Profile) -> Result<(), Mismatch> {
    let wanted = "an access token (this is an ID token)";
    for name in ["nonce", "at_hash", "c_hash"] {
        // Keycloak before version 25 repeats the nonce in access tokens, and marks them otherwise.
        if members.contains_key(name) && !(name == "nonce" && profile == Profile::Keycloak) {
            return Err(Mismatch::new(name, None, wanted));
        }
    }
    if let Some(typ) = members.get("typ")
        && !matches!(typ.as_str(), Some("Bearer" | "JWT" | "at+jwt"))
    {
        return Err(Mismatch::new("typ", Some(typ), "an access token"));
    }
    // Cognito's mark.
    match members.get("token_use") {
        Some(token_use) if token_use != "access" => {
            Err(Mismatch::new("token_use", Some(token_use), "access"))
        }
        _ => Ok(()),
    }
}

/// Refuses a token for the login's client, as ID tokens are.
fn not_for_the_login(members: &Map<String, Value>, config: &Config) -> Result<(), Mismatch> {
    let client = core::slice::from_ref(&config.client_id);
    if claims::audience(members, client).is_ok() {
        let wanted = "an audience other than the login's client";
        return Err(Mismatch::new("aud", members.get("aud"), wanted));
    }
    Ok(())
}

/// Checks `aud`.
///
/// Cognito's access tokens have none. With the profile [`Profile::Generic`] and no configured
/// audience such a token is for us if its client is one of the authorized parties.
fn audience(members: &Map<String, Value>, issuer: &Issuer) -> Result<(), Mismatch> {
    let may_lack = issuer.profile == Profile::Generic
        && issuer.audiences.is_empty()
        && !issuer.authorized_parties.is_empty();
    if may_lack && !members.contains_key("aud") {
        return Ok(());
    }
    claims::audience(members, &issuer.audiences)
}

/// Checks the client that a token was issued to. An empty list allows all, and tokens that name
/// none.
fn party(client: Option<&str>, allowed: &[String]) -> Result<(), Mismatch> {
    if allowed.is_empty() || client.is_some_and(|name| allowed.iter().any(|party| party == name)) {
        return Ok(());
    }
    let seen = client.map(Value::from);
    Err(Mismatch::new("azp", seen.as_ref(), allowed.join(" or ")))
}

/// Checks the claims that the issuer's settings require: each must be one of the listed strings.
fn required(claims: &Map<String, Value>, issuer: &Issuer) -> Result<(), Mismatch> {
    for (path, allowed) in &issuer.claims {
        let value = at(claims, path);
        let fits = value
            .and_then(Value::as_str)
            .is_some_and(|value| allowed.iter().any(|allowed| allowed == value));
        if !fits {
            let wanted = format!("{} to be {}", path.join("."), allowed.join(" or "));
            return Err(Mismatch::new("required claim", value, wanted));
        }
    }
    Ok(())
}

/// Returns whether the settings admit the bearer of a token, as they do a person at a login.
///
/// Subjects are those of the login's issuer. Anybody can register a client at some providers, so a
/// client that is not known to be the operator's is no way around the list.
fn admission(
    members: &Map<String, Value>,
    principal: &Principal,
    issuer: &Issuer,
    is_login: bool,
    config: &Config,
) -> Result<(), Refusal> {
    if config.users.allow.is_none() {
        return Ok(());
    }
    let is_known_client = !principal.is_person()
        && (!is_login
            || issuer.profile == Profile::Keycloak
            || !issuer.authorized_parties.is_empty());
    let email = config.users.email(members);
    let subject = claims::text(members, "sub").filter(|_| is_login).unwrap_or_default();
    if is_known_client || config.users.admits(subject, email) {
        return Ok(());
    }
    Err(Refusal::not_allowed(&principal.id, email))
}

/// Returns the principal of a token: a client or a person.
///
/// The prefix of the identifier separates clients from people (RFC 9700 §4.15), and the issuer
/// separates the subjects of different issuers.
fn principal(
    members: &Map<String, Value>,
    client: Option<&str>,
    issuer: &Issuer,
    is_login: bool,
) -> Result<Principal, Mismatch> {
    let subject = claims::subject(members)?;
    let username = claims::text(members, "preferred_username");
    let scope = if is_login { String::new() } else { format!("{}#", issuer.issuer) };
    let own = client.filter(|client| is_own(members, client, issuer.profile, subject));
    let (id, name) = match own {
        // Further issuers of other profiles are for machines, so their subjects are no people.
        _ if issuer.profile != Profile::Keycloak && !is_login => {
            (format!("client:{scope}{subject}"), subject)
        }
        Some(client) => (format!("client:{scope}{client}"), client),
        None => (format!("user:{scope}{subject}"), username.unwrap_or(subject)),
    };
    let name = name.chars().filter(|c| !c.is_control()).take(128).collect();
    Ok(Principal { id, name, email: None, method: Method::Bearer })
}

/// Returns whether a client got a token for itself, and not for a person.
///
/// With Keycloak, such a token belongs to a service account and has no session. Others name the
/// client as the subject (Okta, Cognito), add `@clients` to it (Auth0), or say `idtyp: app` (Entra
/// ID, if its application is set to add this claim). Okta marks the tokens of people with `uid`,
/// since their subject is a name that they may choose.
fn is_own(members: &Map<String, Value>, client: &str, profile: Profile, subject: &str) -> bool {
    let text = |name| claims::text(members, name);
    if profile == Profile::Keycloak {
        let username = text("preferred_username");
        return username.and_then(|name| name.strip_prefix("service-account-")) == Some(client)
            && !members.contains_key("sid")
            && !members.contains_key("auth_time");
    }
    let of_auth0 = subject.strip_suffix("@clients") == Some(client)
        && text("gty") == Some("client-credentials");
    let is_same = subject == client && !members.contains_key("uid");
    is_same || of_auth0 || text("idtyp") == Some("app")
}
