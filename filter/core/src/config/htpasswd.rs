//! The setting `machines.htpasswd`: users of an htpasswd file, until they have another credential.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::HtpasswdEntry;
use super::reader::{Section, quote};
use super::values::role;
use crate::foundation::crypto::sha256;
use crate::foundation::limits::CLIENT_ID;
use crate::foundation::password_hash::PasswordHash;
use crate::identity::principal::{Method, Principal};

/// Reads all entries, by name.
pub(crate) fn htpasswd(machines: &Section<'_>) -> BTreeMap<String, HtpasswdEntry> {
    let mut entries = BTreeMap::new();
    for section in machines.sections("htpasswd") {
        let entry = entry(&section);
        section.finish();
        let Some(entry) = entry else { continue };
        let name = entry.principal.name.clone();
        if entries.insert(name.clone(), entry).is_some() {
            section.problem("line", &format!("another line of {}", quote(&name)), "one for each");
        }
    }
    entries
}

#[inline(never)]
fn entry(section: &Section<'_>) -> Option<HtpasswdEntry> {
    let line = section.required("line");
    let role = section.required("role").and_then(|text| role(section, "role", text));
    let expires = section.instant("expires");
    if expires.is_none() && !section.has("expires") {
        section.problem("expires", "nothing", "the time when the password ends, in UTC");
    }
    // No part of the line is quoted: it may be a password.
    let (name, text) = line.and_then(|line| {
        let parts = line.split_once(':').filter(|(name, _)| is_name(name));
        if parts.is_none() {
            section.problem("line", "no line of an htpasswd file", "name:hash");
        }
        parts
    })?;
    let hash = PasswordHash::read(text);
    let hash = hash.inspect_err(|bad| section.problem("line", &bad.found, bad.wanted)).ok();
    let principal = Principal::machine("htpasswd", name, Method::Htpasswd);
    Some(HtpasswdEntry {
        principal: Rc::new(principal),
        role: role?,
        expires: expires?,
        digest: sha256(line?.as_bytes()),
        hash: hash?,
    })
}

fn is_name(name: &str) -> bool {
    let is_trimmed = name.trim() == name;
    (1..=CLIENT_ID).contains(&name.len()) && is_trimmed && !name.chars().any(char::is_control)
}

/// Returns the line for the operator's log while passwords are accepted.
pub(super) fn warning(entries: &BTreeMap<String, HtpasswdEntry>) -> Option<String> {
    let count = entries.len();
    let accepts = "machines.htpasswd accepts passwords, which can be guessed";
    (count > 0).then(|| format!("{accepts} (entries: {count})"))
}
