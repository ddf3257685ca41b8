//! The setting `idp`: how to reach and use the identity provider.

use super::reader::{Section, quote};
use super::values::{check_scopes, url};
use super::{Endpoint, HttpUrl};
use crate::wire::jose::Algorithm;

/// How to reach and use the identity provider: the setting `idp`.
#[derive(Debug)]
pub(crate) struct Idp {
    /// The Envoy cluster for endpoints at the origin of the issuer.
    pub(crate) cluster: String,
    /// The URL at which Envoy reaches the issuer.
    pub(crate) internal: HttpUrl,
    /// The Envoy clusters for endpoints at other origins.
    pub(crate) clusters: Vec<(HttpUrl, String)>,
    /// The metadata document.
    pub(crate) metadata: Endpoint,
    /// `scope` of the authorization request.
    pub(crate) scopes: String,
    /// How the login's client authenticates at the token endpoint.
    pub(crate) client_auth: ClientAuth,
    /// Whether logins push their parameters (RFC 9126). They do in any case if the provider
    /// requires it.
    pub(crate) par: bool,
    /// The accepted values of `acr` in ID tokens (OpenID Connect Core §2). An empty list accepts
    /// any.
    pub(crate) require_acr: Vec<String>,
    /// Additional parameters of the authorization request, as names and values.
    pub(crate) extra_auth_params: Vec<(String, String)>,
    /// Whether roles may come from the userinfo endpoint, if no token contains any.
    pub(crate) userinfo: bool,
    /// Audiences that an ID token may name beside our client (OpenID Connect Core §3.1.3.7, step
    /// 3).
    pub(crate) trusted_audiences: Vec<String>,
    /// The allowed signature algorithms (RFC 8725 §3.1).
    pub(crate) algorithms: Vec<Algorithm>,
}

impl Idp {
    /// Returns a text of all that decides where the provider's documents come from.
    ///
    /// Workers and configurations share documents only if it is the same for both.
    #[must_use]
    pub(crate) fn source(&self) -> String {
        let Self { cluster, internal, clusters, metadata, .. } = self;
        format!("{:?}", (cluster, internal, clusters, metadata))
    }

    /// Returns how Envoy reaches an endpoint that the provider's metadata names.
    ///
    /// The metadata may contain the outside address of the issuer (Keycloak with a fixed host name)
    /// or the inside one. `None` for any other origin without a cluster: nothing is sent to an
    /// address that the operator has not named.
    #[must_use]
    pub(crate) fn reached(&self, issuer: &HttpUrl, endpoint: &HttpUrl) -> Option<Endpoint> {
        let own = |url| Endpoint { cluster: self.cluster.clone(), url };
        if endpoint.origin() == issuer.origin() {
            let path = match endpoint.path.strip_prefix(&issuer.path) {
                Some(rest) if rest.starts_with('/') => format!("{}{rest}", self.internal.path),
                _ => endpoint.path.clone(),
            };
            return Some(own(self.internal.with_path(path)));
        }
        if endpoint.origin() == self.internal.origin() {
            return Some(own(endpoint.clone()));
        }
        let (_, cluster) =
            self.clusters.iter().find(|(origin, _)| origin.origin() == endpoint.origin())?;
        Some(Endpoint { cluster: cluster.clone(), url: endpoint.clone() })
    }
}

/// A method of client authentication (OpenID Connect Core §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientAuth {
    /// `client_secret_basic`: HTTP Basic.
    Basic,
    /// `client_secret_post`: client id and secret in the form.
    Post,
    /// `private_key_jwt`: a token that Lictor signs (RFC 7523 §2.2).
    PrivateKeyJwt,
    /// `tls_client_auth`: the certificate that Envoy's cluster shows (RFC 8705 §2).
    Certificate,
    /// `none`: a public client, with PKCE only.
    None,
}

impl ClientAuth {
    const ALL: [Self; 5] =
        [Self::Basic, Self::Post, Self::PrivateKeyJwt, Self::Certificate, Self::None];

    /// Returns the method's name in metadata and settings.
    #[must_use]
    const fn name(self) -> &'static str {
        match self {
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::Certificate => "tls_client_auth",
            Self::None => "none",
        }
    }
}

/// Reads the setting. `issuer` is that of the login, if it is a URL. `None` means that a problem
/// has been reported.
pub(crate) fn idp(section: &Section<'_>, issuer: Option<&HttpUrl>) -> Option<Idp> {
    let internal = match section.text("internal_url") {
        Some(text) => url(section, "internal_url", text),
        None => issuer.cloned(),
    };
    let scopes = section.text("scopes").unwrap_or("openid profile email").to_owned();
    check_scopes(section, "scopes", &scopes);
    if !scopes.split(' ').any(|scope| scope == "openid") {
        section.problem("scopes", &quote(&scopes), "scopes separated by blanks, openid among them");
    }
    let client_auth = client_auth(section);
    let par = section.flag("par", false);
    let require_acr = section.texts("require_acr", &[]);
    let names: Vec<&str> = Algorithm::ALL.iter().map(|a| a.name()).collect();
    let listed = section.texts("algorithms", &names);
    let algorithms = listed.iter().filter_map(|name| {
        let algorithm = Algorithm::named(name);
        if algorithm.is_none() {
            section.problem("algorithms", &quote(name), &format!("any of {}", names.join(", ")));
        }
        algorithm
    });
    // Read all members before the first `?`, so that all problems are reported together.
    let algorithms = algorithms.collect();
    let extra_auth_params = extra_auth_params(section);
    let cluster = section.text("cluster").unwrap_or("idp").to_owned();
    let clusters = clusters(section, &[issuer, internal.as_ref()]);
    let metadata_url = section.text("metadata_url");
    let metadata_url = metadata_url.and_then(|text| url(section, "metadata_url", text));
    let userinfo = section.flag("userinfo", false);
    let trusted_audiences = section.texts("trusted_audiences", &[]);
    section.finish();
    let internal = internal?;
    let path = format!("{}/.well-known/openid-configuration", internal.path);
    let metadata = Endpoint { cluster: cluster.clone(), url: internal.with_path(path) };
    let mut idp = Idp {
        cluster,
        internal,
        clusters,
        metadata,
        scopes,
        client_auth,
        par,
        require_acr,
        extra_auth_params,
        userinfo,
        trusted_audiences,
        algorithms,
    };
    if let (Some(url), Some(issuer)) = (metadata_url, issuer) {
        match idp.reached(issuer, &url) {
            Some(metadata) => idp.metadata = metadata,
            None => {
                let wanted = format!(
                    "an origin in idp.clusters, such as {{\"{}\": \"idp-metadata\"}}",
                    url.origin()
                );
                section.problem("metadata_url", &quote(&url.to_string()), &wanted);
            }
        }
    }
    Some(idp)
}

fn client_auth(section: &Section<'_>) -> ClientAuth {
    let Some(text) = section.text("client_auth") else { return ClientAuth::Basic };
    ClientAuth::ALL.into_iter().find(|method| method.name() == text).unwrap_or_else(|| {
        let names: Vec<&str> = ClientAuth::ALL.iter().map(|method| method.name()).collect();
        section.problem("client_auth", &quote(text), &format!("one of {}", names.join(", ")));
        ClientAuth::Basic
    })
}

/// Reads the clusters of the provider's further origins.
fn clusters(section: &Section<'_>, known: &[Option<&HttpUrl>]) -> Vec<(HttpUrl, String)> {
    let mut clusters: Vec<(HttpUrl, String)> = Vec::new();
    for (text, cluster) in section.pairs("clusters") {
        let problem = |wanted| section.problem("clusters", &quote(&text), wanted);
        let Some(origin) = HttpUrl::parse(&text).filter(|url| url.path.is_empty()) else {
            problem("origins, such as \"https://oauth2.example.com\"");
            continue;
        };
        let is_same = |other: &HttpUrl| other.origin() == origin.origin();
        if cluster.is_empty() {
            problem("the name of a cluster for each origin");
        } else if known.iter().flatten().any(|url| is_same(url)) {
            problem("idp.cluster for the origin of issuer and idp.internal_url");
        } else if clusters.iter().any(|(other, _)| is_same(other)) {
            problem("each origin once");
        } else {
            clusters.push((origin, cluster));
        }
    }
    clusters
}

/// Parameters of the authorization request that Lictor sets. No setting may replace them.
const OWN_AUTH_PARAMS: [&str; 10] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "response_mode",
    // idp.require_acr.
    "acr_values",
];

fn extra_auth_params(section: &Section<'_>) -> Vec<(String, String)> {
    let pairs = section.pairs("extra_auth_params");
    for (name, _) in pairs.iter().filter(|(name, _)| OWN_AUTH_PARAMS.contains(&name.as_str())) {
        section.problem(
            "extra_auth_params",
            &quote(name),
            "parameters that Lictor does not set itself",
        );
    }
    pairs
}
