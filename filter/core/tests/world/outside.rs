//! What tests and benchmarks outside of this crate ask of it, as functions of plain values.

use crate::config::Config;
use crate::foundation::crypto::{Entropy, from_base64url};
use crate::foundation::id::{Id as _, SessionId};
use crate::foundation::limits::TOKEN;
use crate::foundation::secret::Secret;
use crate::foundation::time::UnixTime;
use crate::identity::role::Role;
use crate::prefect::companion;
use crate::prefect::operations::{Operation, roles_for};
use crate::prefect::place::Place;
use crate::session::cookie::SessionCookie;
use crate::session::model::Session;
use crate::wire::http::cookies::Cookies;
use crate::wire::http::target::Target;
use crate::wire::jose::Algorithm;
use crate::wire::jose::compact::Jws;
use crate::wire::jose::jwk::KeySet;
use crate::wire::jose::signature::{HostVerifier, InRust};
use crate::wire::jose::verify::Verifier;

/// The companion script, and the version in its address.
pub fn companion_script() -> (&'static str, String) {
    (companion::SCRIPT, companion::version())
}

/// Whether the role with this name may make a request with a body that asks for no secrets, by the
/// table of operations.
pub fn may(role: &str, method: &str, path: &str, config: &Config) -> bool {
    let target = Target::parse(path.as_bytes()).unwrap();
    let place = Place::of(&target, config);
    let operation = Operation::of(method, &place);
    let read = operation.depends_on_body(&place).map(|known| known.with_body(Some(b"{}")));
    roles_for(&read.unwrap_or(operation)).include(Role::named(role).unwrap())
}

/// Whether the role with this name may open a socket at a path below the API's.
pub fn may_open(role: &str, path: &str) -> bool {
    roles_for(&Operation::socket(path)).include(Role::named(role).unwrap())
}

/// The `Cookie` value of a fresh session of an operator. `number` makes each another person's.
pub fn session_cookie(
    config: &Config,
    number: usize,
    refresh_token: String,
    now: UnixTime,
    entropy: &mut dyn Entropy,
) -> String {
    let session = Session {
        id: SessionId::from_bytes((number as u128).to_be_bytes()),
        subject: format!("1f4e7c52-9d3b-4d19-a1a6-{number:012x}"),
        name: "alice".to_owned(),
        email: Some("alice@example.com".to_owned()),
        role: Some(Role::Operator),
        sid: Some("c2f1a5e0-7d0c-4f0a-9b6e-0d6e3f3b9a77".to_owned()),
        auth_time: Some(now.secs()),
        started: now,
        used: now,
        checked: now,
        refresh_token: Some(Secret::new(refresh_token)),
    };
    let sealing = SessionCookie::new(config);
    let set = sealing.set(config, &session, &Cookies::default(), entropy).unwrap();
    let pairs: Vec<_> = set.iter().filter_map(|line| line.split(';').next()).collect();
    pairs.join("; ")
}

/// Whether a JWS verifies with a key (a JWK), by a host's verification or, with `None`, by our own.
pub fn verifies(jws: &str, jwk: &str, host: Option<&dyn HostVerifier>) -> bool {
    let keys = format!("{{\"keys\":[{jwk}]}}");
    match (Jws::parse(jws.as_bytes(), TOKEN), KeySet::parse(keys.as_bytes())) {
        (Ok(jws), Ok(keys)) => {
            let host = host.unwrap_or(&InRust);
            Verifier { keys: &keys, allowed: &Algorithm::ALL, host }.check(&jws).is_ok()
        }
        _ => false,
    }
}

/// A JWKS of which the first key verifies signatures and nothing else: nothing that a token says is
/// looked at.
pub struct SignatureOnly(KeySet);

impl SignatureOnly {
    pub fn parse(jwks: &[u8]) -> Option<Self> {
        KeySet::parse(jwks).ok().map(Self)
    }

    /// Whether the first key has signed an RS256 token, by the host's verification.
    pub fn has_signed(&self, token: &str, host: &dyn HostVerifier) -> bool {
        let Some((signed, signature)) = token.rsplit_once('.') else { return false };
        let Some(signature) = from_base64url(signature.as_bytes()) else { return false };
        let jws = Jws {
            signed,
            signature,
            algorithm: Algorithm::Rs256,
            key_id: None,
            token_type: None,
            payload: Vec::new(),
        };
        self.0.keys.first().is_some_and(|key| key.has_signed(&jws, host))
    }
}
