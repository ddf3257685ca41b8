//! Client certificates: a machine's name without a secret, and no way around the rules for
//! browsers.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::Config;
use crate::foundation::crypto::{sha256, to_base64url};
use crate::testing::{World, basic, configuration, environment, header, request};
use crate::wire::peer::Certificate;
use serde_json::{Value, json};

const SPIFFE: &str = "spiffe://example.com/ns/flows/sa/worker";

fn settings() -> Value {
    let mut settings = configuration();
    settings["machines"]["certificates"] = json!([
        {"name": "flows-worker", "role": "worker", "uri": SPIFFE},
        {"name": "reports", "role": "viewer", "dns": "reports.example.com"},
        {"name": "old", "role": "viewer", "subject": "CN=old,O=Example"},
    ]);
    settings
}

fn world_with(certificate: Certificate) -> World {
    let mut world = World::with(&settings());
    world.peer.certificate = Some(certificate);
    world
}

fn worker() -> Certificate {
    Certificate { uri: Some(SPIFFE.to_owned()), ..Certificate::default() }
}

fn status(world: &mut World, method: &str, path: &str, lines: &[(&str, &str)]) -> u16 {
    world.request(&request(method, path, lines)).1.status()
}

#[test]
fn a_mapped_certificate_is_a_machine() {
    let mut world = world_with(worker());
    let sent = world.request(&request("POST", "/api/flow_runs/filter", &[])).1.forwarded();
    assert_eq!(header(&sent, "x-auth-request-user"), Some("cert:flows-worker"));
    assert_eq!(header(&sent, "x-auth-request-groups"), Some("worker"));
    assert_eq!(status(&mut world, "DELETE", "/api/flows/1", &[]), 403, "by its role");
    for certificate in [
        Certificate { dns: Some("reports.example.com".to_owned()), ..Certificate::default() },
        Certificate { subject: Some("CN=old,O=Example".to_owned()), ..Certificate::default() },
    ] {
        let mut world = world_with(certificate);
        assert_eq!(status(&mut world, "GET", "/api/flows/1", &[]), 200);
        assert_eq!(status(&mut world, "POST", "/api/flows/", &[]), 403);
    }
}

#[test]
fn any_other_certificate_is_nobody() {
    for certificate in [
        Certificate::default(),
        Certificate { uri: Some(format!("{SPIFFE}2")), ..Certificate::default() },
        Certificate { dns: Some(SPIFFE.to_owned()), ..Certificate::default() },
        Certificate { subject: Some("CN=old,O=Example,C=X".to_owned()), ..Certificate::default() },
    ] {
        let mut world = world_with(certificate.clone());
        assert_eq!(status(&mut world, "GET", "/api/flows/1", &[]), 401, "{certificate:?}");
    }
    // Who says it in a header has not shown it.
    let mut world = World::with(&settings());
    let forged = ("x-forwarded-client-cert", "URI=spiffe://example.com/ns/flows/sa/worker");
    assert_eq!(status(&mut world, "GET", "/api/flows/1", &[forged]), 401);
}

/// A browser shows it by itself, whoever wrote the page.
#[test]
fn pages_of_other_sites_can_t_use_it() {
    let mut world = world_with(worker());
    let page = [("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")];
    for (lines, wanted) in [
        (vec![("sec-fetch-site", "cross-site"), page[0], page[1]], 403),
        (vec![("sec-fetch-site", "same-site"), page[0], page[1]], 403),
        (vec![("origin", "https://evil.example")], 403),
        (vec![("origin", "null")], 403),
        (vec![page[0]], 403),
        (vec![("origin", "https://prefect.example.com")], 200),
        (vec![("sec-fetch-site", "same-origin"), page[0], page[1]], 200),
    ] {
        assert_eq!(
            status(&mut world, "POST", "/api/flow_runs/filter", &lines),
            wanted,
            "{lines:?}"
        );
    }
}

#[test]
fn a_header_s_credential_comes_first_and_its_failure_is_final() {
    let mut world = world_with(worker());
    let wrong = basic("etl:lk_wrong");
    assert_eq!(status(&mut world, "GET", "/api/flows/1", &[("authorization", &wrong)]), 401);
}

/// Its principal is known, but no role would help.
#[test]
fn a_refused_cross_site_request_is_told_no_roles() {
    let script = [("origin", "https://evil.example.com")];
    let page = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    for (method, headers) in [("GET", &script[..]), ("POST", &page[..])] {
        let mut world = world_with(worker());
        let reply = world.request(&request(method, "/api/flows/1", headers)).1.reply();
        assert_eq!(reply.status, 403, "{method}");
        let body = String::from_utf8(reply.body).unwrap();
        assert!(!body.contains("Required role") && !body.contains("Sec-Fetch-Site"), "{body}");
    }
}

/// RFC 8705 §3: stolen, such a token is worth nothing.
#[test]
fn a_bound_token_needs_its_certificate() {
    let der = sha256(b"the certificate's DER");
    let hex: String = der.iter().map(|byte| format!("{byte:02x}")).collect();
    let other = "0".repeat(64);
    let bound = json!({"x5t#S256": to_base64url(&der)});
    for (shown, cnf, wanted) in [
        (Some(&hex), bound.clone(), 200),
        (Some(&other), bound.clone(), 401),
        (None, bound, 401),
        (Some(&hex), json!({"jkt": "x"}), 401),
        (Some(&hex), json!({"x5t#S256": to_base64url(&der), "jkt": "x"}), 401),
        (Some(&hex), json!({}), 401),
        (Some(&hex), json!("x"), 401),
        (Some(&hex), json!({"x5t#S256": 1}), 401),
    ] {
        let mut world =
            world_with(Certificate { sha256: shown.cloned(), ..Certificate::default() });
        if shown.is_none() {
            world.peer.certificate = None;
        }
        let mut claims = world.idp.machine_claims(world.now);
        claims["cnf"] = cnf.clone();
        let token = format!("Bearer {}", world.idp.sign(&claims));
        let status = status(&mut world, "GET", "/api/flows/1", &[("authorization", &token)]);
        assert_eq!(status, wanted, "{shown:?} {cnf}");
    }
}

#[test]
fn settings_that_say_two_things_are_refused() {
    for (entry, path) in [
        (json!({"name": "a", "role": "worker"}), "uri"),
        (json!({"name": "a", "role": "worker", "uri": "x", "dns": "y"}), "uri"),
        (json!({"name": "a", "uri": "x"}), "role"),
        (json!({"role": "worker", "uri": "x"}), "name"),
        (json!({"name": "a", "role": "worker", "uri": SPIFFE}), "name"),
        (json!({"name": "a", "role": "worker", "san": "x"}), "san"),
    ] {
        let mut settings = settings();
        settings["machines"]["certificates"].as_array_mut().unwrap().push(entry.clone());
        let errors = Config::compile(settings.to_string().as_bytes(), &environment).unwrap_err();
        let wanted = format!("$.machines.certificates[3].{path}");
        assert!(errors.to_string().contains(&wanted), "{entry}: {errors}");
    }
}
