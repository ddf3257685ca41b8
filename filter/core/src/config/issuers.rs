//! The issuers whose access tokens are accepted: the login's issuer, and `machines.issuers`.

use super::claim_path;
use super::reader::{Section, quote};
use super::values::{role, url};
use super::{Endpoint, Issuer, Profile};

pub(crate) fn issuers(
    root: &Section<'_>,
    machines: &Section<'_>,
    issuer: &str,
    client_id: &str,
) -> Vec<Issuer> {
    let login = Issuer {
        issuer: issuer.to_owned(),
        keys: None,
        profile: Profile::Keycloak,
        audiences: audiences(root, &[client_id]),
        authorized_parties: root.texts("authorized_parties", &[]),
        claims: Vec::new(),
        role: None,
    };
    let mut issuers = vec![login];
    for section in machines.sections("issuers") {
        let further = further(&section, client_id);
        section.finish();
        let Some(further) = further else { continue };
        // With one entry for each issuer, the rules for a token do not depend on the order.
        if issuers.iter().any(|known| known.issuer == further.issuer) {
            section.problem("issuer", &quote(&further.issuer), "an issuer that is not listed yet");
        }
        issuers.push(further);
    }
    issuers
}

fn further(section: &Section<'_>, client_id: &str) -> Option<Issuer> {
    let issuer = section.required("issuer");
    let keys = section.required("jwks_uri").and_then(|text| url(section, "jwks_uri", text));
    let cluster = section.required("cluster");
    let profile = match section.text("profile") {
        None | Some("generic") => Profile::Generic,
        Some("keycloak") => Profile::Keycloak,
        Some("rfc9068") => Profile::Rfc9068,
        Some(other) => {
            section.problem("profile", &quote(other), "keycloak, rfc9068 or generic");
            Profile::Generic
        }
    };
    let audiences = audiences(section, &[]);
    if profile == Profile::Generic && audiences.iter().any(|audience| audience == client_id) {
        let wanted =
            "audiences of machines (ID tokens have client_id, and nothing else tells them apart)";
        section.problem("audiences", &quote(client_id), wanted);
    }
    let claims: Vec<_> = section
        .members("claims")
        .into_iter()
        .map(|(path, values)| (claim_path::parse(&path), values))
        .collect();
    let role = section.text("role").and_then(|text| role(section, "role", text));
    let authorized_parties = section.texts("authorized_parties", &[]);
    if role.is_some() && claims.is_empty() && authorized_parties.is_empty() {
        // Anyone can get a token from GitHub with any audience.
        let wanted = "claims (or authorized_parties) that only tokens of yours have, since role is given to each";
        section.problem("claims", "none", wanted);
    }
    Some(Issuer {
        issuer: issuer?.to_owned(),
        keys: Some(Endpoint { cluster: cluster?.to_owned(), url: keys? }),
        profile,
        audiences,
        authorized_parties,
        claims,
        role,
    })
}

fn audiences(section: &Section<'_>, default: &[&str]) -> Vec<String> {
    let audiences = section.texts("audiences", default);
    if audiences.is_empty() {
        section.problem("audiences", "none", "at least one audience");
    }
    audiences
}
