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

/// Request headers that are always removed, in folded form (RFC 9700 §4.13).
///
/// With them a client might claim an identity at Prefect or at a server behind it. It might also
/// name another URL or method than the one that Lictor authorizes.
const IDENTITY: [&str; 31] = [
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-access-token",
    "x-forwarded-client-cert",
    "x-remote-user",
    "remote-user",
    "x-user",
    "x-webauth-user",
    "x-authenticated-user",
    "x-lictor-auth-request-secret",
    "forwarded",
    "x-forwarded-host",
    "x-forwarded-method",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-server",
    "x-forwarded-uri",
    "x-real-ip",
    "x-original-host",
    "x-original-method",
    "x-original-uri",
    "x-original-url",
    "x-rewrite-url",
    "x-http-method-override",
    // Prefect recognizes requests of its own automations by these.
    "prefect-automation-id",
    "prefect-automation-name",
];

/// Returns whether a header must be removed from a client's request.
///
/// Names are compared with `_` and `.` folded to `-`, since servers behind Lictor may treat these
/// characters as equal (docs/threats.md T-S3).
fn is_identity(name: &str) -> bool {
    let name = name.as_bytes();
    let begins_with = |wanted: &str| {
        let begin = name.get(..wanted.len()).unwrap_or_default();
        begin.iter().map(folded).eq(wanted.bytes())
    };
    let is = |known: &&str| known.len() == name.len() && begins_with(known);
    begins_with("x-auth-request-") || IDENTITY.iter().any(is)
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
        edit.set.push((":authority", self.host.as_bytes().to_vec()));
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

/// Returns the removal of all request headers by which a client might claim an identity.
#[must_use]
pub(crate) fn stripped(request: RequestView<'_>) -> HeaderEdit {
    let mut edit = HeaderEdit::default();
    for (name, _) in request.headers.iter().filter(|(name, _)| is_identity(name)) {
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

    #[test]
    fn identity_headers_are_known_in_every_spelling() {
        for name in [
            "authorization",
            "x-auth-request-user",
            "x_auth_request_email",
            "x.forwarded.user",
            "x-forwarded_user",
            "x-auth-request-anything",
            "x_api_key",
            "remote_user",
            "x.authenticated.user",
        ] {
            assert!(is_identity(name), "{name}");
        }
        for name in [
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-request-id",
            "x-prefect-worker-id",
            "cookie",
        ] {
            assert!(!is_identity(name), "{name}");
        }
    }

    #[test]
    fn identity_values_are_plain_ascii() {
        assert_eq!(header_value("Zoë %\r\n"), "Zo%C3%AB %25%0D%0A");
    }
}
