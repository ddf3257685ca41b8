//! Changes to the headers of requests that are forwarded to Prefect.
//!
//! Headers that could carry an identity are removed first, then Lictor sets its own (RFC 9700
//! §4.13).

use crate::config::Config;
use crate::identity::principal::Principal;
use crate::identity::role::Role;
use crate::prefect::place::Place;
use crate::prefect::rewrite::Rewrite;
use crate::session::cookie::Names;
use crate::wire::http::cookies::{Cookies, Rest};
use crate::wire::http::edit::HeaderEdit;
use crate::wire::http::request::RequestView;

/// Request headers that are always removed, in folded form (RFC 9700 §4.13). A name that ends in
/// `-` stands for all names that begin with it.
///
/// With them a client might claim an identity at Prefect or at a server behind it. It might also
/// name another URL or method than the one that Lictor authorizes, or instruct Envoy's router,
/// which reads `x-envoy-` headers after Lictor. docs/threats.md lists the same names.
const REMOVED: [&str; 54] = [
    // Credentials.
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "x-access-token",
    "x-id-token",
    "x-jwt-",
    "x-lictor-",
    // Identities, as proxies tell them to applications.
    "remote-",
    "x-remote-",
    "x-auth-",
    "x-authenticated-",
    "x-authentik-",
    "x-webauth-",
    "x-user",
    "x-user-",
    "x-userid",
    "x-username",
    "x-email",
    "x-groups",
    "x-roles",
    "x-consumer-",
    "x-credential-",
    // Identities, as clouds and products tell them.
    "x-amzn-oidc-",
    "x-goog-authenticated-",
    "x-goog-iap-",
    "x-ms-client-principal",
    "x-ms-client-principal-",
    "x-ms-token-",
    "cf-access-",
    "oidc-",
    "tailscale-",
    "x-pomerium-",
    "x-vouch-",
    // Client certificates, as proxies that end TLS tell them.
    "ssl-client-",
    "x-ssl-",
    "x-client-cert",
    "x-client-cert-",
    "client-cert",
    "client-cert-chain",
    // Addresses.
    "forwarded",
    "x-forwarded-",
    "x-real-",
    "true-client-ip",
    "cf-connecting-",
    "x-client-ip",
    "x-cluster-client-ip",
    // Another URL or method.
    "x-original-",
    "x-override-",
    "x-rewrite-",
    "x-http-",
    "x-method-override",
    "x-host",
    // Envoy's router.
    "x-envoy-",
    // Prefect recognizes requests of its own automations by these.
    "prefect-automation-",
];

/// Headers of a removed family that remain, because Envoy writes them itself.
const KEPT: [&str; 2] = ["x-forwarded-for", "x-forwarded-proto"];

/// Returns whether a header must be removed from a client's request.
///
/// Names are compared with `_` and `.` folded to `-`, since servers behind Lictor may treat these
/// characters as equal (docs/threats.md T-S3).
fn is_removed(name: &str) -> bool {
    let name = name.as_bytes();
    let matches = |pattern: &str| {
        let begin = name.get(..pattern.len()).unwrap_or_default();
        let is_whole = pattern.ends_with('-') || pattern.len() == name.len();
        is_whole && begin.iter().map(folded).eq(pattern.bytes())
    };
    // A kept header has one spelling: what Envoy does not write is the client's.
    let is_kept = || KEPT.iter().any(|kept| kept.as_bytes() == name);
    candidates(name).any(matches) && !is_kept()
}

/// Returns the entries of [`REMOVED`] whose first and third byte are those of the name.
///
/// Each request has a dozen names, most of which have none.
fn candidates(name: &[u8]) -> impl Iterator<Item = &'static str> {
    const FIRST: [u64; 256] = having(0);
    const THIRD: [u64; 256] = having(2);
    let among = |entries: &[u64; 256], place: usize| {
        let byte = name.get(place).map(folded)?;
        entries.get(usize::from(byte)).copied()
    };
    let mut left = among(&FIRST, 0).zip(among(&THIRD, 2)).map_or(0, |(first, third)| first & third);
    core::iter::from_fn(move || {
        let entry = REMOVED.get(left.trailing_zeros() as usize)?;
        left &= left.wrapping_sub(1);
        Some(*entry)
    })
}

/// Returns for each byte the entries of [`REMOVED`] that have it at this place: bit n stands for
/// entry n.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const fn having(place: usize) -> [u64; 256] {
    let mut entries = [0; 256];
    let mut at = 0;
    while at < REMOVED.len() {
        entries[REMOVED[at].as_bytes()[place] as usize] |= 1 << at;
        at += 1;
    }
    entries
}

const fn folded(byte: &u8) -> u8 {
    match byte {
        b'_' | b'.' => b'-',
        byte => byte.to_ascii_lowercase(),
    }
}

/// A permitted request on its way to Prefect.
#[derive(Clone, Copy)]
pub(crate) struct Forwarding<'a> {
    /// The client's request head.
    pub(crate) request: RequestView<'a>,
    /// The meaning of the target.
    pub(crate) place: Place<'a>,
    pub(crate) cookies: &'a Cookies<'a>,
    /// The configured host name that the client used.
    pub(crate) host: &'a str,
    /// The proved principal with its role; `None` for a public path or a pending handshake.
    pub(crate) identity: Option<(&'a Principal, Option<Role>)>,
    /// How the response may be rewritten.
    pub(crate) rewrite: Rewrite,
}

impl Forwarding<'_> {
    /// Returns whether the request gets Prefect's credential.
    ///
    /// This requires an identity and a target in the API.
    #[must_use]
    pub(crate) const fn carries_credential(&self) -> bool {
        self.identity.is_some() && self.place.takes_credential()
    }

    /// Returns the changes to the request's headers.
    #[must_use]
    pub(crate) fn edit(self, config: &Config) -> HeaderEdit {
        let mut edit = stripped(self.request);
        match self.cookies.without(Names::is_ours) {
            Rest::Same => {}
            Rest::Nothing => edit.remove.push("cookie".into()),
            Rest::Others(rest) => {
                edit.remove.push("cookie".into());
                edit.set.push(("cookie", rest));
            }
        }
        if self.request.only(":authority") != Some(self.host.as_bytes()) {
            edit.set.push((":authority", self.host.as_bytes().to_vec()));
        }
        if self.request.has("upgrade") {
            // Lictor can't read or rewrite compressed frames.
            edit.remove.push("sec-websocket-extensions".into());
        }
        if self.rewrite != Rewrite::Nothing {
            // Rewriting needs the complete, current and uncompressed response.
            for name in ["if-none-match", "if-modified-since", "range", "if-range"] {
                edit.remove.push(name.into());
            }
            edit.set.push(("accept-encoding", b"identity".to_vec()));
        }
        if self.carries_credential() {
            let credential = config.secrets.prefect_credential.expose();
            edit.set.push(("authorization", credential.to_vec()));
        }
        if let Some((principal, role)) = self.identity.filter(|_| config.prefect.forward_identity) {
            let headers = identity_headers(principal, role);
            edit.set.extend(headers.into_iter().map(|(name, value)| (name, value.into_bytes())));
        }
        edit
    }
}

/// Returns the removal of all request headers with which a client might claim an identity or
/// instruct a server behind Lictor.
///
/// A request ID is removed too unless it has the form that Envoy generates: it appears in logs.
#[must_use]
pub(crate) fn stripped(request: RequestView<'_>) -> HeaderEdit {
    let mut edit = HeaderEdit::default();
    let is_odd_id = |name: &str| name == "x-request-id" && request.request_id().is_none();
    let removed = |name: &str| is_removed(name) || is_odd_id(name);
    for (name, _) in request.headers.iter().filter(|(name, _)| removed(name)) {
        if !edit.remove.iter().any(|known| known == name) {
            edit.remove.push(name.clone().into());
        }
    }
    edit
}

/// Returns the headers that tell an upstream the identity, with the names that oauth2-proxy uses.
#[must_use]
pub(crate) fn identity_headers(
    principal: &Principal,
    role: Option<Role>,
) -> Vec<(&'static str, String)> {
    let mut headers = vec![
        ("x-auth-request-user", header_value(&principal.id)),
        ("x-auth-request-preferred-username", header_value(&principal.name)),
        ("x-forwarded-user", header_value(&principal.name)),
    ];
    headers.extend(role.map(|role| ("x-auth-request-groups", role.name().to_owned())));
    let email = principal.email.as_deref();
    headers.extend(email.map(|email| ("x-auth-request-email", header_value(email))));
    headers
}

/// Returns a text as a header value.
///
/// It has at most 256 characters of the text. Characters other than plain ASCII are
/// percent-encoded.
fn header_value(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'%' || byte == b' ';
    if text.len() <= 256 && text.bytes().all(plain) {
        return text.to_owned();
    }
    let mut value = String::new();
    for c in text.chars().take(256) {
        if u8::try_from(c).is_ok_and(plain) {
            value.push(c);
        } else {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                value.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    value
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    /// Headers of requests that Envoy's documentation names and that a client could send ("HTTP
    /// header manipulation" and "Router", Envoy 1.40).
    const ENVOY: [&str; 20] = [
        "x-envoy-attempt-count",
        "x-envoy-decorator-operation",
        "x-envoy-downstream-service-cluster",
        "x-envoy-downstream-service-node",
        "x-envoy-expected-rq-timeout-ms",
        "x-envoy-external-address",
        "x-envoy-force-trace",
        "x-envoy-hedge-on-per-try-timeout",
        "x-envoy-internal",
        "x-envoy-ip-tags",
        "x-envoy-max-retries",
        "x-envoy-original-dst-host",
        "x-envoy-original-path",
        "x-envoy-retriable-header-names",
        "x-envoy-retriable-status-codes",
        "x-envoy-retry-grpc-on",
        "x-envoy-retry-on",
        "x-envoy-upstream-alt-stat-name",
        "x-envoy-upstream-rq-per-try-timeout-ms",
        "x-envoy-upstream-rq-timeout-ms",
    ];

    #[test]
    fn headers_that_tell_an_identity_an_address_or_another_target_are_removed() {
        let others = "authorization proxy-authorization x-auth-request-user x_auth_request_email \
            x.forwarded.user x-forwarded_user x-forwarded-anything X-Forwarded-Host x_api_key \
            x.authenticated.user remote-user remote_user remote-groups remote-name remote-email \
            x-remote-user x-remote-email x-remote-group x-user x-username x-userid x-user-id x-email \
            x-access-token x-id-token x-jwt-payload x-amzn-oidc-data x-amzn-oidc-identity \
            x-goog-authenticated-user-email x-goog-iap-jwt-assertion x-ms-client-principal \
            x-ms-client-principal-name tailscale-user-login x-pomerium-claim-email x-vouch-user \
            ssl-client-verify ssl-client-subject-dn x-client-cert true-client-ip cf-connecting-ip \
            x-client-ip x-cluster-client-ip x-real-ip forwarded x-forwarded-scheme x-forwarded-ssl \
            x-forwarded-path x-forwarded-client-cert x-method-override x-http-method \
            x-http-method-override x-original-path x-original-url x-override-url x-rewrite-url \
            cf-access-jwt-assertion oidc-claim-sub OIDC_access_token x-consumer-username \
            x-authentik-username x-lictor-auth-request-secret prefect-automation-id x_forwarded_for \
            x-forwarded.proto";
        let credentials = crate::wire::http::authorization::HEADERS;
        for name in ENVOY.into_iter().chain(others.split_whitespace()).chain(credentials) {
            assert!(is_removed(name), "{name}");
        }
        let kept = "x-forwarded-for x-forwarded-proto x-request-id x-prefect-worker-id cookie accept \
            traceparent x-remote x-users-choice prefect-csrf-token content-type user-agent remote";
        for name in kept.split_whitespace() {
            assert!(!is_removed(name), "{name}");
        }
    }

    #[test]
    fn every_entry_of_the_list_is_removed_in_each_spelling() {
        for entry in REMOVED {
            let name = if entry.ends_with('-') { format!("{entry}a") } else { entry.to_owned() };
            for name in [name.replace('-', "_"), name.replace('-', "."), name.to_uppercase(), name]
            {
                assert!(is_removed(&name), "{name}");
            }
            assert!(!is_removed(&format!("a{entry}")), "a{entry}");
        }
        assert!(!is_removed("") && !is_removed("x") && !is_removed("x-"));
    }

    #[test]
    fn the_documentation_lists_the_removed_headers() {
        let page = include_str!("../../../../docs/threats.md");
        let (_, list) = page.split_once("## Headers that Prefect never gets").unwrap();
        let list = list.split("\n## ").next().unwrap();
        let documented: Vec<_> =
            list.split('`').skip(1).step_by(2).map(|name| name.trim_end_matches('*')).collect();
        assert_eq!(documented, REMOVED.iter().chain(&KEPT).copied().collect::<Vec<_>>());
    }

    #[test]
    fn a_request_id_that_envoy_did_not_make_is_removed() {
        for (id, removed) in [
            ("6f9619ff-8b86-d011-b42d-00cf4fc964ff", false),
            (&"a".repeat(64) as &str, false),
            (&"a".repeat(65), true),
            ("", true),
            ("a b", true),
            ("a\"}", true),
        ] {
            let headers = vec![("x-request-id".to_owned(), id.as_bytes().to_vec())];
            let edit = stripped(RequestView { headers: &headers });
            assert_eq!(!edit.remove.is_empty(), removed, "{id}");
        }
    }

    #[test]
    fn identity_values_are_plain_ascii() {
        assert_eq!(header_value("Zoë %\r\n"), "Zo%C3%AB %25%0D%0A");
    }
}
