//! Readers of values that occur in several sections.

use super::reader::{Section, quote};
use super::url::HttpUrl;
use crate::identity::role::Role;
use crate::identity::role_set::RoleSet;

/// Reads a URL in the plain form of [`HttpUrl`], and reports any other value.
pub(crate) fn url(section: &Section<'_>, name: &'static str, text: &str) -> Option<HttpUrl> {
    let url = HttpUrl::parse(text);
    if url.is_none() {
        let wanted = "an http(s) URL without user, query, fragment or dot segments";
        section.problem(name, &quote(text), wanted);
    }
    url
}

/// Reports a text that is not a list of scopes, separated by blanks (RFC 6749 §3.3).
pub(crate) fn check_scopes(section: &Section<'_>, name: &'static str, text: &str) {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    if !text.bytes().all(plain) {
        section.problem(name, &quote(text), "scopes separated by blanks, without quotes");
    }
}

/// Reads the name of a role, and reports any other value.
pub(crate) fn role(section: &Section<'_>, name: &'static str, text: &str) -> Option<Role> {
    let role = Role::named(text);
    if role.is_none() {
        section.problem(name, &quote(text), &RoleSet::of(&Role::ALL).names());
    }
    role
}
