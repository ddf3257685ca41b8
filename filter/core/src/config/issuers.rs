//! The issuers whose access tokens are accepted: the login's issuer, and `machines.issuers`.

use super::claim_path;
use super::reader::{Section, quote};
use super::values::{role, url};
use super::{Endpoint, Issuer, Profile};

pub(crate) fn issuers(
    root: &Section<'_>,
    machines: &Section<'_>,
    issuer: &str,
    profile: Profile,
    client_id: &str,
) -> Vec<Issuer> {
    let login = Issuer {
        issuer: issuer.to_owned(),
        keys: None,
        profile,
        audiences: login_audiences(root, profile, client_id),
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
    let profile = section.text("profile").map_or(Profile::Generic, |text| profile(section, text));
    let authorized_parties = section.texts("authorized_parties", &[]);
    // Tokens without `aud` name their client instead.
    let audiences = match profile {
        Profile::Generic if !authorized_parties.is_empty() => section.texts("audiences", &[]),
        _ => audiences(section, &[]),
    };
    not_for_the_login(section, profile, &audiences, client_id);
    let claims: Vec<_> = section
        .members("claims")
        .into_iter()
        .map(|(path, values)| (claim_path::parse(&path), values))
        .collect();
    let role = section.text("role").and_then(|text| role(section, "role", text));
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

/// Returns the accepted audiences of the login's issuer.
///
/// Its access tokens are for the login's client, too, if their profile tells them from ID tokens.
fn login_audiences(section: &Section<'_>, profile: Profile, client_id: &str) -> Vec<String> {
    if profile == Profile::Generic {
        let audiences = section.texts("audiences", &[]);
        not_for_the_login(section, profile, &audiences, client_id);
        return audiences;
    }
    audiences(section, &[client_id])
}

fn not_for_the_login(
    section: &Section<'_>,
    profile: Profile,
    audiences: &[String],
    client_id: &str,
) {
    if profile == Profile::Generic && audiences.iter().any(|audience| audience == client_id) {
        let wanted =
            "audiences of machines (ID tokens have client_id, and nothing else tells them apart)";
        section.problem("audiences", &quote(client_id), wanted);
    }
}

fn profile(section: &Section<'_>, text: &str) -> Profile {
    match Profile::named(text) {
        Some(profile) => profile,
        None => {
            section.problem("profile", &quote(text), "keycloak, rfc9068 or generic");
            Profile::Generic
        }
    }
}

/// Reads the profile of the login's issuer. By default its address decides: the issuers of Keycloak
/// are its realms.
pub(crate) fn login_profile(idp: &Section<'_>, issuer: &str) -> Profile {
    match idp.text("profile") {
        Some(text) => profile(idp, text),
        None if issuer.contains("/realms/") => Profile::Keycloak,
        None => Profile::Generic,
    }
}
