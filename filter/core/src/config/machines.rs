//! The setting `machines`: the credentials that machines may present, and on which hosts.

use core::time::Duration;
use std::collections::HashMap;
use std::rc::Rc;

use super::htpasswd::htpasswd;
use super::reader::{Section, quote};
use super::values::{check_scopes, role};
use crate::foundation::hex;
use crate::identity::credential_ref::CertificateName;
use crate::identity::personal_token;
use crate::identity::principal::{Method, Principal};
use crate::identity::role::Role;

use super::{
    AUTH_STRING, ApiKey, CertificateEntry, ClientCredentialSettings, IntrospectionSettings,
    Machines, Pattern, PersonalTokenSettings,
};

pub(crate) fn machines(section: &Section<'_>, https: bool) -> Machines {
    let mut api_keys = HashMap::new();
    for key in section.sections("api_keys") {
        if let Some((digest, entry)) = api_key(&key)
            && api_keys.insert(digest, entry).is_some()
        {
            key.problem("sha256", "the digest of another entry", "one entry per key");
        }
        key.finish();
    }
    let certificates = certificates(section);
    Machines {
        hosts: section.hosts("hosts", https),
        certificates,
        htpasswd: htpasswd(section),
        bearer: section.flag("bearer", true),
        client_credentials: client_credentials(section),
        introspection: introspection(section),
        personal_tokens: personal_tokens(section),
        api_keys,
        accept_auth_string: section.flag("accept_auth_string", false),
    }
}

fn client_credentials(machines: &Section<'_>) -> Option<ClientCredentialSettings> {
    let section = machines.switch("client_credentials", true)?;
    let clients = section.texts("clients", &["*"]);
    let clients = clients.iter().filter_map(|text| {
        let pattern = Pattern::parse(text);
        if pattern.is_none() {
            section.problem("clients", &quote(text), "names of clients, each with one * at most");
        }
        pattern
    });
    let clients = clients.collect();
    if let Some(scopes) = section.text("scope") {
        check_scopes(&section, "scope", scopes);
    }
    let parameters = ["scope", "audience", "resource"]
        .into_iter()
        .filter_map(|name| Some((name, section.text(name)?.to_owned())));
    let parameters = parameters.collect();
    section.finish();
    Some(ClientCredentialSettings { clients, parameters })
}

fn introspection(machines: &Section<'_>) -> Option<IntrospectionSettings> {
    let section = machines.switch("introspection", false)?;
    let settings = IntrospectionSettings { jwts: section.flag("jwts", false) };
    section.finish();
    if !machines.flag("bearer", true) {
        machines.problem("introspection", "on, with bearer off", "bearer on (tokens are bearers)");
    }
    Some(settings)
}

fn personal_tokens(machines: &Section<'_>) -> Option<PersonalTokenSettings> {
    let section = machines.switch("personal_tokens", true)?;
    let named = section.text("role").map(|text| role(&section, "role", text));
    let revoked = section.texts("revoked", &[]);
    let revoked = revoked.iter().filter_map(|text| {
        let id = personal_token::id(text);
        if id.is_none() {
            section.problem("revoked", &quote(text), "ids of personal tokens (22 characters)");
        }
        id
    });
    let tokens = PersonalTokenSettings {
        max: section.duration("max", Duration::from_secs(36_000)),
        role: named.flatten().unwrap_or(Role::Operator),
        revoked: revoked.collect(),
    };
    section.finish();
    Some(tokens)
}

fn certificates(machines: &Section<'_>) -> Vec<CertificateEntry> {
    let mut entries: Vec<CertificateEntry> = Vec::new();
    for section in machines.sections("certificates") {
        let entry = certificate(&section);
        section.finish();
        let Some(entry) = entry else { continue };
        if entries.iter().any(|known| known.shows == entry.shows) {
            section.problem(
                "name",
                &quote(&entry.principal.name),
                "one entry for each certificate",
            );
        }
        entries.push(entry);
    }
    entries
}

fn certificate(section: &Section<'_>) -> Option<CertificateEntry> {
    let name = section.required("name");
    let role = section.required("role").and_then(|text| role(section, "role", text));
    let shown = [
        section.text("uri").map(|text| CertificateName::Uri(text.to_owned())),
        section.text("dns").map(|text| CertificateName::Dns(text.to_owned())),
        section.text("subject").map(|text| CertificateName::Subject(text.to_owned())),
    ];
    let mut shown = shown.into_iter().flatten();
    let (Some(shows), None) = (shown.next(), shown.next()) else {
        section.problem("uri", "none or several names", "one of uri, dns and subject");
        return None;
    };
    let principal = Principal::machine("cert", name?, Method::Certificate);
    Some(CertificateEntry { principal: Rc::new(principal), role: role?, shows })
}

fn api_key(section: &Section<'_>) -> Option<([u8; 32], ApiKey)> {
    let name = section.required("name");
    let digest = section.required("sha256").and_then(|text| {
        let digest = hex::digest(text);
        if digest.is_none() {
            let found = if text.starts_with("lk_") { "the key itself" } else { "something else" };
            section.problem("sha256", found, "the key's SHA-256 as 64 hexadecimal digits");
        }
        digest
    });
    let role = section.required("role").and_then(|text| role(section, "role", text));
    let expires = section.instant("expires");
    if name == Some(AUTH_STRING) {
        // The principal of Prefect's own shared secret.
        section.problem("name", &quote(AUTH_STRING), "another name (this one is taken)");
    }
    let principal = Principal::machine("key", name?, Method::ApiKey);
    Some((digest?, ApiKey { principal: Rc::new(principal), role: role?, expires }))
}
