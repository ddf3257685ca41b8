//! `roles.report_only`: whoever is proved may, and what would have been refused is said and
//! counted.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::identity::role::Role;
use crate::site::sockets::SocketVerdict;
use crate::testing::{AUTH_STRING, World, basic, header, request};
use crate::tests::roles::{by, settings};
use serde_json::json;

fn world() -> World {
    let mut settings = settings();
    settings["roles"] = json!({ "report_only": true });

    World::with(&settings)
}

#[test]
fn what_would_be_refused_goes_on_and_is_reported() {
    let mut world = world();
    let seen = world.request(&by(Role::Viewer, "DELETE", "/api/flows/1")).1.forwarded();
    assert_eq!(header(&seen, "authorization"), Some(basic(AUTH_STRING).as_str()));
    assert_eq!(header(&seen, "x-auth-request-groups"), Some("viewer"));
    let log = world.log.join("\n");
    let line = "reported reason=role_missing principal=\"key:viewer\" \
                seen=\"role viewer for DELETE /flows/1\" wanted=\"admin\"";
    assert!(log.contains(line), "{log}");
    let counter = "lictor_requests.outcome=reported.method=api_key.reason=role_missing";
    assert!(log.contains(counter), "{log}");
}

#[test]
fn what_a_role_may_is_not_reported() {
    let mut world = world();
    world.request(&by(Role::Viewer, "GET", "/api/flows/1")).1.forwarded();
    assert!(!world.log.join("\n").contains("reported"), "{:?}", world.log);
}

#[test]
fn somebody_without_a_role_goes_on_and_is_reported() {
    let mut world = world();
    world.idp.claims = json!({ "realm_access": { "roles": [] } });
    let mut browser = world.log_in();
    let seen = browser.fetch(&mut world, "POST", "/api/flows/filter").forwarded();
    assert_eq!(header(&seen, "x-auth-request-groups"), None);
    assert_eq!(header(&seen, "x-auth-request-user"), Some("user:alice-1"));
    assert!(world.log.join("\n").contains("reported reason=no_role"), "{:?}", world.log);
}

#[test]
fn nothing_is_opened_that_needs_somebody() {
    let mut world = world();
    for (path, extra) in [
        ("/api/flows/1", vec![]),
        ("/dashboard", vec![]),
        ("/api/flows/1", vec![("x-api-key", "lk_of-nobody")]),
        ("/api/flows/1", vec![("authorization", "Bearer x")]),
        ("/api/flows/1", vec![("cookie", "__Host-lictor=x")]),
        ("/api/events/in", vec![("upgrade", "websocket"), ("cookie", "__Host-lictor=x")]),
    ] {
        let reply = world.request(&request("GET", path, &extra)).1.reply();
        assert!(
            matches!(reply.status, 302 | 400 | 401 | 403),
            "{path} {extra:?}: {}",
            reply.status
        );
    }
    // A cookie that another site sends along proves nobody, whatever its role.
    let browser = world.log_in();
    let headers = browser.headers("POST", "/api/flows/filter", &[("sec-fetch-site", "cross-site")]);
    assert_eq!(world.request(&headers).1.reply().status, 403);
}

/// A socket that only a report let in ends when roles count.
#[test]
fn a_socket_does_not_outlive_the_reports() {
    let mut reporting = world();
    let key = "lk_planted-key-of-viewer";
    let upgrade = [("upgrade", "websocket"), ("connection", "Upgrade"), ("x-api-key", key)];
    let (gate, outcome) = reporting.request(&request("GET", "/api/events/in", &upgrade));
    outcome.forwarded();
    assert!(reporting.log.join("\n").contains("reported reason=role_missing"));
    let (_, open) = reporting.site.sockets.to_be_judged(true, reporting.now).remove(0);
    assert_ne!(reporting.site.socket_verdict(&open, reporting.now), SocketVerdict::Close);
    let mut enforcing = World::starting(&settings());
    assert_eq!(enforcing.site.socket_verdict(&open, enforcing.now), SocketVerdict::Close);
    drop(gate);
}

#[test]
fn a_verdict_for_another_proxy_says_so_too() {
    let mut world = world();
    let headers = request(
        "GET",
        "/oauth2/auth",
        &[
            ("x-api-key", "lk_planted-key-of-viewer"),
            ("x-lictor-auth-request-secret", crate::testing::AUTH_REQUEST_SECRET),
            ("x-original-method", "DELETE"),
            ("x-original-uri", "/api/flows/1"),
        ],
    );
    assert_eq!(world.request(&headers).1.reply().status, 202);
    assert!(world.log.join("\n").contains("reported reason=role_missing"), "{:?}", world.log);
}
