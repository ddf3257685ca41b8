//! A session cookie counts only for requests of our own pages.

use super::{Story, story};
use crate::client::Request;
use crate::gateway::Plan;
use crate::keycloak_admin::basic;
use crate::keycloak_login::logged_in;
use crate::recorder::Recorder;
use crate::world::{prefect_sees_nothing, world};

const ABOUT: &str = "cross-site";
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "method by Origin by Sec-Fetch-Site: only our own requests pass", matrix)
            .counting(),
        story(ABOUT, "page loads from elsewhere show pages, frames do not", loads).counting(),
        story(ABOUT, "preflights are refused", preflights).counting(),
        story(ABOUT, "preflights of an origin that the operator lists are answered", listed_origin)
            .apart(),
    ]
}

fn matrix() {
    let mut alice = logged_in("alice");
    let own = world().gate.origin();
    let origins = [None, Some(own.as_str()), Some("https://evil.example"), Some("null")];
    let sites = [
        None,
        Some("same-origin"),
        Some("none"),
        Some("same-site"),
        Some("cross-site"),
        Some("bogus"),
    ];
    let targets = [
        ("GET", "/api/admin/version".to_owned()),
        ("POST", "/api/flows/filter".to_owned()),
        ("PUT", format!("/api/automations/{NOBODY}")),
        ("PATCH", format!("/api/flows/{NOBODY}")),
        ("DELETE", format!("/api/flows/{NOBODY}")),
    ];
    let mut refused_cells = 0;
    for (method, target) in &targets {
        for origin in origins {
            for site in sites {
                // The rule, said anew (spec §2.7): Sec-Fetch-Site decides; without it Origin
                // does; without both only reading is harmless.
                let ours = match (site, origin) {
                    (Some(site), _) => matches!(site, "same-origin" | "none"),
                    (None, Some(origin)) => origin == own,
                    (None, None) => *method == "GET",
                };
                let mut request = Request::new(method, target);
                if *method != "GET" {
                    request = request.json_body("{}");
                }
                request = origin.into_iter().fold(request, |r, o| r.header("origin", o));
                request = site.into_iter().fold(request, |r, s| r.header("sec-fetch-site", s));
                let cell = format!("{method} Origin {origin:?} Sec-Fetch-Site {site:?}");
                let before = world().admin.reached_prefect();
                let answer = alice.send(request);
                let reached = world().admin.reached_prefect() - before;
                if ours {
                    assert_eq!(reached, 1, "{cell}: {}", answer.text());
                    assert!(
                        !matches!(answer.status, 401 | 403 | 500..),
                        "{cell}: {}",
                        answer.status
                    );
                } else {
                    refused_cells += 1;
                    assert_eq!((answer.status, reached), (403, 0), "{cell}");
                    assert_eq!(answer.code(), "csrf", "{cell}");
                    assert!(!answer.has("access-control-allow-origin"), "{cell}");
                }
            }
        }
    }
    assert!(refused_cells >= 20);
}

fn loads() {
    let mut alice = logged_in("alice");
    for site in ["cross-site", "same-site"] {
        alice.send(Request::get("/runs").navigation_from(site)).expect(200);
        let frame = Request::get("/runs").headers(&[
            ("accept", "text/html"),
            ("sec-fetch-site", site),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "iframe"),
        ]);
        assert_eq!(alice.send(frame).expect(403).code(), "csrf");
        let form = Request::post("/api/flows/filter", "{}").navigation_from(site);
        let answer = prefect_sees_nothing(world().admin, || alice.send(form));
        assert_eq!(answer.status, 403, "a form that posts from {site}");
    }
    let page = alice.navigate("/").expect(if world().stack.prefect.version.starts_with("3.4") {
        200
    } else {
        307
    });
    assert!(page.all("content-security-policy").any(|csp| csp.contains("frame-ancestors")));
}

fn preflights() {
    let alice = logged_in("alice");
    for origin in ["https://evil.example", "null", &world().gate.origin()] {
        let preflight = Request::new("OPTIONS", "/api/flows/filter")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type");
        let answer = prefect_sees_nothing(world().admin, || world().gate.send(&preflight));
        assert_eq!((answer.status, answer.code().as_str()), (403, "cors"), "{origin}");
        assert!(!answer.headers.iter().any(|(name, _)| name.starts_with("access-control")));
        let with_cookie = preflight.header("cookie", alice.jar.header().unwrap());
        assert_eq!(world().gate.send(&with_cookie).status, 403, "{origin}");
    }
}

/// A page elsewhere with a token of its own; a cookie of ours never counts for it.
fn listed_origin() {
    const ORIGIN: &str = "https://reports.example.com";
    let recorder = Recorder::start();
    // The second of them is Prefect's; the route for sockets stands below it.
    let place = "              domains: [\"*\"]\n              routes:\n              # Sockets";
    let policy = format!(
        "              domains: [\"*\"]
              typed_per_filter_config:
                envoy.filters.http.cors:
                  \"@type\": type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy
                  allow_origin_string_match: [{{ exact: {ORIGIN} }}]
                  allow_methods: GET, POST
                  allow_headers: authorization, content-type
              routes:
              # Sockets"
    );
    let gateway = Plan::new("cors").prefect(recorder.port).envoy(place, policy).start();
    let preflight = |origin: &str| {
        Request::new("OPTIONS", "/api/flows/filter")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization")
    };
    let answer = gateway.gate.send(&preflight(ORIGIN)).expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN));
    assert!(!answer.has("access-control-allow-credentials"));
    for other in ["https://evil.example", "null", "https://reports.example.com.evil.example"] {
        let answer = gateway.gate.send(&preflight(other)).expect(403);
        assert_eq!(answer.code(), "cors");
        assert!(!answer.has("access-control-allow-origin"), "{other}");
    }
    assert_eq!(recorder.take().heads.len(), 0, "a preflight reached Prefect");
    let page = |origin: &str| {
        Request::post("/api/flows/filter", "{}")
            .header("origin", origin)
            .header("authorization", basic(&world().stack.machine.auth_string))
    };
    let answer = gateway.gate.send(&page(ORIGIN)).expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN));
    let answer = gateway.gate.send(&page("https://evil.example")).expect(200);
    assert!(!answer.has("access-control-allow-origin"), "a page elsewhere could read it");
}
