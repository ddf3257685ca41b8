//! Values that several sections hold.

use super::reader::{Section, quote};
use super::url::HttpUrl;
use crate::identity::role::Role;

/// A URL of the plain form that Lictor takes; anything else is reported.
pub(crate) fn url(section: &Section<'_>, name: &'static str, text: &str) -> Option<HttpUrl> {
    let url = HttpUrl::parse(text);
    if url.is_none() {
        let wanted = "an http(s) URL without user, query, fragment or dot segments";
        section.problem(name, &quote(text), wanted);
    }
    url
}

/// A role's name; anything else is reported.
pub(crate) fn role(section: &Section<'_>, name: &'static str, text: &str) -> Option<Role> {
    let role = Role::named(text);
    if role.is_none() {
        section.problem(name, &quote(text), "viewer, operator, worker or admin");
    }
    role
}
