//! A provider that signs what it is told to, and fails as it is told to.

use std::collections::HashMap;

use crate::config::{Config, HttpUrl};
use crate::foundation::crypto::{from_base64, sha256, to_base64url};
use crate::foundation::time::UnixTime;
use crate::provider::callout::Callout;
use ed25519_compact::{KeyPair, Seed};
use serde_json::{Value, json};

use super::ISSUER;

/// What the provider does when it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Well,
    /// Connections are refused (Envoy makes that a 503).
    Away,
    /// Envoy's call can't even be sent.
    NoCluster,
    /// Every refresh token is refused.
    RefreshRefused,
    /// The client's secret is wrong.
    ClientRefused,
}

pub struct Idp {
    pub mood: Mood,
    /// Claims of the next ID token that differ from the usual ones.
    pub claims: Value,
    /// One claim of the next ID token as it is to be: missing, or any value, `null` too.
    pub exact_claim: Option<(&'static str, Option<Value>)>,
    /// What stands in the next answers instead of an ID token, or of an access token.
    pub instead_of_id: Option<String>,
    pub instead_of_access: Option<String>,
    /// Whether a refresh token counts once, and a second use of it ends the session (Keycloak's
    /// `revokeRefreshToken` without reuse).
    pub strict_rotation: bool,
    /// Whether codes are refused.
    pub code_refused: bool,
    /// Bytes of each refresh token, at least.
    pub refresh_token_length: usize,
    /// What the token endpoint answers instead of tokens.
    pub instead_of_tokens: Option<(u16, Vec<u8>)>,
    /// Clients that may ask for tokens of their own, with their secrets,
    pub clients: HashMap<String, String>,
    /// those whose secrets were shown, right or wrong,
    pub shown: Vec<String>,
    /// and claims of their tokens that differ from the usual ones.
    pub client_claims: Value,
    /// What introspection says of tokens, which are inactive otherwise,
    pub opaque: HashMap<String, Value>,
    /// and the bodies of the requests for it.
    pub introspected: Vec<String>,
    /// What introspection answers instead.
    pub instead_of_introspection: Option<(u16, Vec<u8>)>,
    /// What userinfo answers.
    pub userinfo: Option<Value>,
    /// What is answered for metadata instead of them.
    pub instead_of_metadata: Option<Value>,
    /// What is answered for keys instead of them.
    pub instead_of_keys: Option<Vec<u8>>,
    /// `iss` of its tokens.
    pub issuer: String,
    /// Its authorization endpoint.
    pub authorization: String,
    /// Endpoints at other addresses than the usual ones: cluster and path, and the usual path.
    pub addresses: HashMap<(String, String), &'static str>,
    /// Forms that came in, each with its path.
    pub forms: Vec<(String, String)>,
    /// What is answered to pushed parameters of a login.
    pub pushed: (u16, Vec<u8>),
    /// The nonce of the attempt that is under way.
    pub nonce: String,
    /// Calls by path.
    pub calls: HashMap<String, usize>,
    key: KeyPair,
    kid: String,
    published: Vec<(String, KeyPair)>,
    refreshes: usize,
    /// Refresh tokens that came in,
    pub redeemed: Vec<String>,
    /// and those whose sessions were ended.
    pub logged_out: Vec<String>,
}

fn key(name: &str) -> KeyPair {
    KeyPair::from_seed(Seed::new(sha256(name.as_bytes())))
}

impl Idp {
    pub fn new() -> Self {
        Self {
            mood: Mood::Well,
            claims: json!({}),
            exact_claim: None,
            instead_of_id: None,
            instead_of_access: None,
            strict_rotation: false,
            code_refused: false,
            refresh_token_length: 0,
            instead_of_tokens: None,
            clients: HashMap::from([("etl-worker".to_owned(), "planted-secret-of-etl".to_owned())]),
            shown: Vec::new(),
            client_claims: json!({}),
            opaque: HashMap::new(),
            introspected: Vec::new(),
            instead_of_introspection: None,
            userinfo: None,
            instead_of_metadata: None,
            instead_of_keys: None,
            issuer: ISSUER.to_owned(),
            authorization: format!("{ISSUER}/auth"),
            addresses: HashMap::new(),
            forms: Vec::new(),
            pushed: (201, br#"{"request_uri":"urn:x:1","expires_in":60}"#.to_vec()),
            nonce: String::new(),
            calls: HashMap::new(),
            key: key("k1"),
            kid: "k1".to_owned(),
            published: vec![("k1".to_owned(), key("k1"))],
            refreshes: 0,
            redeemed: Vec::new(),
            logged_out: Vec::new(),
        }
    }

    /// Moves to the addresses of a metadata document, where Envoy reaches it as the settings say.
    pub fn publish(&mut self, document: Value, config: &Config) {
        for (name, usual) in [
            ("token_endpoint", "/realms/prefect/token"),
            ("jwks_uri", "/realms/prefect/certs"),
            ("userinfo_endpoint", "/realms/prefect/userinfo"),
            ("revocation_endpoint", "/realms/prefect/revoke"),
        ] {
            let url = document[name].as_str().and_then(HttpUrl::parse);
            let reached = url.and_then(|url| config.idp.reached(&config.issuer_url, &url));
            self.addresses.extend(reached.map(|at| ((at.cluster, at.url.path), usual)));
        }
        document["issuer"].as_str().unwrap().clone_into(&mut self.issuer);
        document["authorization_endpoint"].as_str().unwrap().clone_into(&mut self.authorization);
        self.instead_of_metadata = Some(document);
    }

    /// Signs with a new key from now on, and publishes it.
    pub fn rotate(&mut self, kid: &str) {
        self.key = key(kid);
        self.kid = kid.to_owned();
        self.published.push((kid.to_owned(), key(kid)));
    }

    /// Publishes none of the keys so far.
    pub fn withdraw_all(&mut self) {
        self.published.clear();
    }

    pub fn called(&self, path: &str) -> usize {
        self.calls.get(path).copied().unwrap_or(0)
    }

    pub fn answer(&mut self, callout: &Callout, now: UnixTime) -> Option<(u16, Vec<u8>)> {
        let path = &callout.headers.iter().find(|(name, _)| *name == ":path").unwrap().1;
        let usual = self.addresses.get(&(callout.cluster.clone(), path.clone()));
        let is_elsewhere = usual.is_some();
        let path = &usual.map_or_else(|| path.clone(), |usual| (*usual).to_owned());
        *self.calls.entry(path.clone()).or_default() += 1;
        if callout.cluster != "idp" && !is_elsewhere {
            // A further issuer: its cluster is its name, and it has nothing but one key.
            let jwks = json!({ "keys": [jwk(&callout.cluster, &key(&callout.cluster))] });
            return Some((200, jwks.to_string().into_bytes()));
        }
        let form = String::from_utf8(callout.body.clone()).unwrap();
        if !form.is_empty() {
            self.forms.push((path.clone(), form.clone()));
        }
        match self.mood {
            Mood::NoCluster => return None,
            Mood::Away => return Some((503, Vec::new())),
            Mood::RefreshRefused if form.contains("grant_type=refresh_token") => {
                return Some((400, br#"{"error":"invalid_grant"}"#.to_vec()));
            }
            _ if self.code_refused && form.contains("grant_type=authorization_code") => {
                return Some((400, br#"{"error":"invalid_grant"}"#.to_vec()));
            }
            Mood::ClientRefused if path.ends_with("/token") => {
                return Some((401, br#"{"error":"unauthorized_client"}"#.to_vec()));
            }
            _ => {}
        }
        if let (Some(answer), "/realms/prefect/token") = (&self.instead_of_tokens, path.as_str()) {
            return Some(answer.clone());
        }
        if let (Some(body), "/realms/prefect/certs") = (&self.instead_of_keys, path.as_str()) {
            return Some((200, body.clone()));
        }
        let body = match path.as_str() {
            path if path.ends_with("/openid-configuration")
                && self.instead_of_metadata.is_some() =>
            {
                self.instead_of_metadata.clone().unwrap()
            }
            "/realms/prefect/.well-known/openid-configuration" => metadata(),
            "/realms/prefect/userinfo" => match &self.userinfo {
                Some(claims) => claims.clone(),
                None => return Some((503, Vec::new())),
            },
            "/realms/prefect/par" => return Some(self.pushed.clone()),
            "/realms/prefect/revoke" => return Some((200, Vec::new())),
            "/realms/prefect/introspect" => return Some(self.introspect(form)),
            "/realms/prefect/certs" => self.jwks(),
            "/realms/prefect/token" if form.contains("grant_type=client_credentials") => {
                return Some(self.client_token(callout, now));
            }
            "/realms/prefect/token" if self.is_used(&form) => {
                return Some((400, br#"{"error":"invalid_grant"}"#.to_vec()));
            }
            "/realms/prefect/token" => self.tokens(&form, now),
            "/realms/prefect/protocol/openid-connect/logout" => {
                let token = crate::wire::http::query::only(&form, "refresh_token").unwrap();
                self.logged_out.extend(token.map(|token| token.into_owned()));
                return Some((204, Vec::new()));
            }
            _ => return Some((404, Vec::new())),
        };
        Some((200, body.to_string().into_bytes()))
    }

    /// The keys that it publishes.
    pub fn jwks(&self) -> Value {
        let mut keys =
            vec![json!({"kty": "RSA", "use": "enc", "kid": "enc", "n": "AQAB", "e": "AQAB"})];
        keys.extend(self.published.iter().map(|(kid, pair)| jwk(kid, pair)));
        json!({ "keys": keys })
    }

    fn introspect(&mut self, form: String) -> (u16, Vec<u8>) {
        let token = crate::wire::http::query::only(&form, "token").unwrap().unwrap();
        let known = self.opaque.get(token.as_ref()).cloned();
        let answer = known.unwrap_or(json!({ "active": false }));
        self.introspected.push(form);
        let answer = (200, answer.to_string().into_bytes());
        self.instead_of_introspection.clone().unwrap_or(answer)
    }

    fn client_token(&mut self, callout: &Callout, now: UnixTime) -> (u16, Vec<u8>) {
        let line = callout.headers.iter().find(|(name, _)| *name == "authorization");
        let pair = line.and_then(|(_, line)| {
            from_base64(line.strip_prefix("Basic ")?.as_bytes())
                .and_then(|pair| String::from_utf8(pair).ok())
        });
        let pair = pair.unwrap_or_default();
        let decoded = |text: &str| {
            let name = format!("x={text}");
            crate::wire::http::query::only(&name, "x").unwrap().unwrap().into_owned()
        };
        let (client, secret) = pair.split_once(':').unwrap_or_default();
        let (client, secret) = (decoded(client), decoded(secret));
        self.shown.push(client.clone());
        if self.clients.get(&client) != Some(&secret) {
            return (401, br#"{"error":"unauthorized_client"}"#.to_vec());
        }
        let mut claims = self.machine_claims(now);
        claims["azp"] = json!(client);
        claims["preferred_username"] = json!(format!("service-account-{client}"));
        merge(&mut claims, &self.client_claims);
        let body = json!({ "token_type": "Bearer", "access_token": self.sign(&claims) });
        (200, body.to_string().into_bytes())
    }

    fn tokens(&mut self, form: &str, now: UnixTime) -> Value {
        self.refreshes += 1;
        let redeemed = crate::wire::http::query::only(form, "refresh_token").unwrap();
        self.redeemed.extend(redeemed.map(|token| token.into_owned()));
        let mut claims = self.person_claims(now);
        if form.contains("grant_type=authorization_code") {
            claims["nonce"] = json!(self.nonce);
        }
        merge(&mut claims, &self.claims);
        match &self.exact_claim {
            Some((name, Some(value))) => claims[*name] = value.clone(),
            Some((name, None)) => drop(claims.as_object_mut().unwrap().remove(*name)),
            None => {}
        }
        json!({
            "token_type": "Bearer", "expires_in": 300,
            "access_token": self.instead_of_access.as_deref().unwrap_or("planted-access-token"),
            "id_token": self.instead_of_id.clone().unwrap_or_else(|| self.sign(&claims)),
            "refresh_token": self.refresh_token(),
        })
    }

    fn is_used(&self, form: &str) -> bool {
        let token = crate::wire::http::query::only(form, "refresh_token").unwrap();
        self.strict_rotation
            && token.is_some_and(|token| self.redeemed.iter().any(|used| *used == token))
    }

    fn refresh_token(&self) -> String {
        let token = format!("planted-refresh-token-{}", self.refreshes);
        format!("{token:.<width$}", width = self.refresh_token_length)
    }

    /// Claims of a person's ID token, but for the nonce.
    pub fn person_claims(&self, now: UnixTime) -> Value {
        json!({
            "iss": self.issuer, "aud": "prefect", "azp": "prefect", "sub": "alice-1", "typ": "ID", "sid": "sid-1",
            "iat": now.secs(), "exp": now.secs() + 300, "auth_time": 1_799_999_000,
            "preferred_username": "alice", "email": "alice@example.com", "email_verified": true,
            "realm_access": {"roles": ["prefect-operator"]},
        })
    }

    /// Claims of a service account's access token.
    pub fn machine_claims(&self, now: UnixTime) -> Value {
        json!({
            "iss": self.issuer, "aud": "prefect", "azp": "etl-worker", "sub": "service-1", "typ": "Bearer",
            "iat": now.secs(), "exp": now.secs() + 300, "preferred_username": "service-account-etl-worker",
            "realm_access": {"roles": ["prefect-worker"]},
        })
    }

    pub fn sign(&self, claims: &Value) -> String {
        self.sign_with(&json!({"alg": "EdDSA", "typ": "JWT", "kid": self.kid}), claims)
    }

    pub fn sign_with(&self, header: &Value, claims: &Value) -> String {
        sign(&self.key, header, claims)
    }
}

/// A token of a further issuer, by its own key.
pub fn sign_as(issuer: &str, typ: &str, claims: &Value) -> String {
    sign(&key(issuer), &json!({"alg": "EdDSA", "typ": typ, "kid": issuer}), claims)
}

fn sign(key: &KeyPair, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| to_base64url(value.to_string().as_bytes());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = key.sk.sign(signed.as_bytes(), None);
    format!("{signed}.{}", to_base64url(signature.as_ref()))
}

fn jwk(kid: &str, pair: &KeyPair) -> Value {
    let x = to_base64url(pair.pk.as_ref());
    json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": kid, "x": x})
}

/// `null` in the patch takes a claim away.
pub fn merge(claims: &mut Value, patch: &Value) {
    for (name, value) in patch.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
}

fn metadata() -> Value {
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": format!("{ISSUER}/auth"),
        "token_endpoint": format!("{ISSUER}/token"),
        "jwks_uri": format!("{ISSUER}/certs"),
        "introspection_endpoint": format!("{ISSUER}/introspect"),
        "userinfo_endpoint": format!("{ISSUER}/userinfo"),
        "end_session_endpoint": format!("{ISSUER}/protocol/openid-connect/logout"),
        "authorization_response_iss_parameter_supported": true,
    })
}
