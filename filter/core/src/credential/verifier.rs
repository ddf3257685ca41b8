//! Verifies a credential of any kind.
//!
//! The kinds are recognized in a fixed order and exclude each other, so that a mistyped key is
//! never tried as another kind.

use std::cell::RefCell;
use std::rc::Rc;

use crate::config::{AUTH_STRING, Config, LOGIN, Machines};
use crate::credential::grant::RemoteCredential;
use crate::credential::kind::Kind;
use crate::credential::misspelt::Misspelt;
use crate::credential::personal_token::PersonalTokens;
use crate::credential::verified_tokens::{Entry, Verified};
use crate::credential::{api_key, bearer};
use crate::foundation::id::IssuerId;
use crate::foundation::limits::{CLIENT_ID, CLIENT_SECRET, OPAQUE_TOKEN, TOKEN};
use crate::foundation::secret::{Secret, SecretRef};
use crate::foundation::time::UnixTime;
use crate::identity::credential_ref::CredentialRef;
use crate::identity::personal_token::PersonalToken;
use crate::identity::principal::{Identity, Method, Principal};
use crate::identity::role::Role;
use crate::provider::keys::Keys;
use crate::provider::token_endpoint::Credentials;
use crate::refusal::{Reason, Refusal};
use crate::wire::http::authorization;
use crate::wire::http::authorization::Presented;
use crate::wire::jose::compact::Compact;
use crate::wire::jose::signature::HostVerifier;
use crate::wire::jose::verify::{Unverified, Verifier};
use crate::wire::peer::Peer;

/// What the verification of a credential depends on.
#[derive(Clone, Copy)]
pub(crate) struct VerificationContext<'a> {
    pub(crate) config: &'a Config,
    /// The keys of all issuers.
    pub(crate) keys: &'a Keys,
    /// Host functions for the verification of signatures.
    pub(crate) host: &'a dyn HostVerifier,
    /// The client's end of the connection, with its certificate.
    pub(crate) peer: &'a dyn Peer,
    /// Opens personal tokens.
    pub(crate) personal: &'a PersonalTokens,
    /// Tokens that have been verified before.
    pub(crate) verified: &'a RefCell<Verified>,
    pub(crate) now: UnixTime,
}

/// A credential, verified as far as possible without asking the provider.
#[derive(Debug)]
pub(crate) enum Presentation {
    /// The credential proves this identity.
    Proof(Identity),
    /// A personal token that opens. Whether it has expired or is revoked is not checked yet.
    Personal(Rc<PersonalToken>),
    /// A name and a password for the worker to check against `machines.htpasswd`.
    Password { user: String, password: Secret },
    /// A credential that the provider must verify.
    Remote(RemoteCredential),
}

/// Why a credential proves no identity.
#[derive(Debug)]
pub(crate) enum AuthenticationError {
    /// No keys of the token's issuer have been loaded yet.
    NoKeys,
    /// The token's issuer is trusted, but its key is not known.
    UnknownKey {
        /// Index of the issuer in [`Config::issuers`].
        issuer: IssuerId,
        /// The `kid`, shortened and escaped for logs.
        kid: String,
    },
    /// The provider is being asked. The request waits and is woken by the answer.
    Asking,
    /// The credential is refused.
    Refused(Refusal),
}

impl From<Misspelt> for AuthenticationError {
    fn from(misspelt: Misspelt) -> Self {
        let refusal = Refusal::new(Reason::MisspeltCredential);
        Self::Refused(refusal.seen(misspelt.seen).wanted(misspelt.wanted))
    }
}

impl From<Refusal> for AuthenticationError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl VerificationContext<'_> {
    /// Verifies a presented credential.
    pub(crate) fn verify(
        self,
        presented: &Presented<'_>,
    ) -> Result<Presentation, AuthenticationError> {
        match presented {
            Presented::ApiKey(key) => match Kind::of(key.expose()) {
                Kind::PersonalToken => self.personal(key.expose()),
                Kind::ApiKey | Kind::Jwt => self.api_key(*key),
                Kind::Other => match Misspelt::of(key.expose()) {
                    Some(misspelt) => Err(misspelt.into()),
                    None => self.api_key(*key),
                },
            },
            Presented::Bearer(token) => match Kind::of(token.expose()) {
                Kind::ApiKey => self.api_key(*token),
                Kind::PersonalToken => self.personal(token.expose()),
                Kind::Jwt | Kind::Other => self.bearer(*token),
            },
            Presented::Basic { user, password } => self.basic(user, password, true),
        }
    }

    fn api_key(self, key: SecretRef<'_>) -> Result<Presentation, AuthenticationError> {
        Ok(Presentation::Proof(api_key::verify(key, self.config, self.now)?))
    }

    fn personal(self, token: &[u8]) -> Result<Presentation, AuthenticationError> {
        Ok(Presentation::Personal(Rc::new(self.personal.open(token)?)))
    }

    fn bearer(self, token: SecretRef<'_>) -> Result<Presentation, AuthenticationError> {
        if !self.config.machines.bearer {
            return Err(not_accepted(
                "a bearer token",
                "another credential (machines.bearer is off)",
            ));
        }
        if let Some(identity) = self.verified.borrow().find(token.expose(), self.keys, self.now) {
            return Ok(Presentation::Proof(identity));
        }
        let introspection = self.config.machines.introspection.as_ref();
        if introspection.is_some() && is_opaque(token.expose()) {
            return self.opaque(token);
        }
        let claimed = bearer::read(token.expose(), TOKEN, self.config).map_err(Refusal::from)?;
        let issuer = claimed.issuer;
        if issuer == LOGIN && introspection.is_some_and(|settings| settings.jwts) {
            claimed.is_access_token(self.config).map_err(Refusal::from)?;
            return Ok(remote_token(token));
        }
        let keys = self.keys.current(issuer, self.now).ok_or(AuthenticationError::NoKeys)?;
        let verifier = Verifier { keys, allowed: &self.config.idp.algorithms, host: self.host };
        let verified = claimed.verify(verifier, self.peer, self.config, self.now);
        let verified = verified.map_err(|why| match why {
            Unverified::UnknownKey(kid) => AuthenticationError::UnknownKey { issuer, kid },
            Unverified::Mismatch(mismatch) => AuthenticationError::Refused(mismatch.into()),
        })?;
        verified.admission?;
        let identity = verified.identity;
        // A bound token is valid only with its proof of possession, which each connection must give
        // itself. So it is not cached.
        if !verified.bound
            && let Some(keys) = self.keys.generation(issuer, self.now)
        {
            let entry = Entry { identity: identity.clone(), issuer, keys, from: verified.from };
            self.verified.borrow_mut().keep(token.expose(), entry);
        }
        Ok(Presentation::Proof(identity))
    }

    /// Returns a bearer token that is no JWT, for the provider to verify.
    ///
    /// A mistyped credential, or Prefect's own secret, must not be sent there.
    fn opaque(self, token: SecretRef<'_>) -> Result<Presentation, AuthenticationError> {
        let text = token.expose();
        if let Some(misspelt) = Misspelt::of(text) {
            return Err(misspelt.into());
        }
        if text.len() > OPAQUE_TOKEN {
            return Err(not_accepted("a token that is too long", "at most 4 KiB"));
        }
        let secrets = &self.config.secrets;
        let password = secrets.prefect.expose().splitn(2, |byte| *byte == b':').nth(1);
        let encoded = secrets.prefect_credential.expose().strip_prefix(b"Basic ");
        if [password, encoded].into_iter().flatten().any(|own| Secret::new(own).equals(text)) {
            return Err(not_accepted("Prefect's own secret", "an access token"));
        }
        Ok(remote_token(token))
    }

    /// Verifies Basic authentication.
    ///
    /// The kinds are tried in this order: API key, personal token, JWT, Prefect's auth string, a
    /// wrapped header, a user of an htpasswd file, client credentials. Wrapped headers occur since
    /// people are told to write `PREFECT_API_AUTH_STRING="Bearer …"`.
    fn basic(
        self,
        user: &str,
        password: &Secret,
        unwrap: bool,
    ) -> Result<Presentation, AuthenticationError> {
        let secret = password.expose();
        match Kind::of(secret) {
            Kind::ApiKey => return self.api_key(password.lent()),
            Kind::PersonalToken => return self.personal(secret),
            Kind::Jwt => return self.bearer(password.lent()),
            Kind::Other => {}
        }
        let pair = Secret::new([user.as_bytes(), b":", secret].concat());
        if self.config.secrets.prefect.equals(pair.expose()) {
            return Ok(Presentation::Proof(self.auth_string()?));
        }
        if unwrap && let Some(inner) = wrapped(&pair) {
            return match inner? {
                Presented::Basic { user, password } => self.basic(&user, &password, false),
                other => self.verify(&other),
            };
        }
        self.credentials(user, password)
    }

    /// Returns a name and a password as those of a user of the htpasswd file, or as client
    /// credentials if the settings allow the client.
    fn credentials(
        self,
        client: &str,
        secret: &Secret,
    ) -> Result<Presentation, AuthenticationError> {
        let Machines { htpasswd, client_credentials, .. } = &self.config.machines;
        let is_user = || htpasswd.keys().any(|user| user.eq_ignore_ascii_case(client));
        let is_client = client_credentials.as_ref().is_some_and(|allowed| allowed.may(client));
        // What may be a user's password is not sent to the provider. A name of nobody is refused as
        // a wrong password is, and as slowly.
        if !htpasswd.is_empty() && (!is_client || is_user()) {
            let (user, password) = (client.to_owned(), secret.clone());
            return Ok(Presentation::Password { user, password });
        }
        // A mistyped credential, or one in the place of the name, must neither appear in a log nor
        // be sent to the provider.
        let misspelt = Misspelt::of(secret.expose()).or_else(|| Misspelt::of(client.as_bytes()));
        if let Some(misspelt) = misspelt {
            return Err(misspelt.into());
        }
        if !(1..=CLIENT_ID).contains(&client.len())
            || !(1..=CLIENT_SECRET).contains(&secret.expose().len())
        {
            return Err(not_accepted(
                "a name or a password that is empty, or too long",
                "name:secret",
            ));
        }
        match client_credentials {
            None => Err(not_accepted(
                "a name and a password",
                "name:lk_<key> (machines.client_credentials is off)",
            )),
            Some(_) if !is_client => Err(not_accepted(
                &format!("client {client}"),
                "a client of machines.client_credentials.clients",
            )),
            Some(_) => Ok(Presentation::Remote(RemoteCredential::Client(Credentials {
                client: client.to_owned(),
                secret: secret.clone(),
            }))),
        }
    }

    fn auth_string(self) -> Result<Identity, AuthenticationError> {
        if !self.config.machines.accept_auth_string {
            return Err(not_accepted("Prefect's own shared string", "a credential of one's own"));
        }
        Ok(auth_string())
    }
}

/// Returns whether a bearer token is no JWT. A JWT may begin with any form of its header.
fn is_opaque(token: &[u8]) -> bool {
    Kind::of(token) != Kind::Jwt && Compact::parse(token, TOKEN).is_err()
}

fn remote_token(token: SecretRef<'_>) -> Presentation {
    Presentation::Remote(RemoteCredential::Token(Secret::new(token.expose())))
}

/// Returns the identity of a client that presents Prefect's own auth string.
#[must_use]
pub(crate) fn auth_string() -> Identity {
    let principal = Principal::machine("key", AUTH_STRING, Method::AuthString);
    Identity {
        principal: Rc::new(principal),
        role: Some(Role::Admin),
        until: None,
        credential: CredentialRef::AuthString,
    }
}

/// Returns the credential in a `Bearer <token>` or `Basic <base64>` that a client wrapped in Basic.
///
/// The wrapped text contains no colon, so the client adds one before or after it.
fn wrapped(pair: &Secret) -> Option<Result<Presented<'_>, AuthenticationError>> {
    let text = pair.expose();
    let text = text.strip_prefix(b":").unwrap_or(text);
    let text = text.strip_suffix(b":").unwrap_or(text);
    let at = text.iter().position(|byte| *byte == b' ')?;
    let (scheme, value) = text.split_at_checked(at)?;
    let read = if scheme.eq_ignore_ascii_case(b"bearer") {
        authorization::bearer(value.trim_ascii())
    } else if scheme.eq_ignore_ascii_case(b"basic") {
        authorization::basic(value.trim_ascii())
    } else {
        return None;
    };
    Some(read.map_err(|_| {
        AuthenticationError::Refused(
            Refusal::new(Reason::MalformedCredential)
                .seen("a whole Authorization header in base64, in Basic")
                .wanted("name:secret in base64"),
        )
    }))
}

#[cold]
fn not_accepted(seen: &str, wanted: &str) -> AuthenticationError {
    AuthenticationError::Refused(
        Refusal::new(Reason::CredentialNotAccepted).seen(seen).wanted(wanted),
    )
}
