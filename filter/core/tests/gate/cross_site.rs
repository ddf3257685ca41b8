//! Which requests a session counts for: every combination of method, `Origin`, `Sec-Fetch-Site` and
//! content type has a verdict (docs/threats.md, T-T1).

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::testing::browser::Browser;
use crate::testing::{Outcome, PUBLIC, World, code};

const METHODS: [&str; 5] = ["GET", "HEAD", "POST", "PUT", "DELETE"];
const ORIGINS: [(&str, Option<&str>); 5] = [
    ("own", Some(PUBLIC)),
    ("null", Some("null")),
    ("sibling", Some("https://other.example.com")),
    ("foreign", Some("https://evil.test")),
    ("none", None),
];
const TYPES: [Option<&str>; 4] =
    [Some("application/json"), Some("text/plain"), Some("application/x-www-form-urlencoded"), None];

/// One row for each `Sec-Fetch-Site`, one column for each `Origin` as above, one letter for each
/// method: whether the session counts (`+`) or not (`-`), whatever the content type.
const VERDICTS: [(Option<&str>, [&str; 5]); 5] = [
    (Some("same-origin"), ["+++++", "+++++", "+++++", "+++++", "+++++"]),
    (Some("none"), ["+++++", "+++++", "+++++", "+++++", "+++++"]),
    (Some("same-site"), ["-----", "-----", "-----", "-----", "-----"]),
    (Some("cross-site"), ["-----", "-----", "-----", "-----", "-----"]),
    // Browsers that send no Fetch Metadata: the own origin, or a safe method without any.
    (None, ["+++++", "-----", "-----", "-----", "++---"]),
];

#[test]
fn every_cell_of_the_matrix_has_its_verdict() {
    let (mut world, mut browser) = (World::new(), Browser::default());
    world.idp.claims = serde_json::json!({"realm_access": {"roles": ["prefect-admin"]}});
    browser.log_in(&mut world, "/");
    let mut cells = 0;
    for (site, columns) in VERDICTS {
        for ((name, origin), verdicts) in ORIGINS.into_iter().zip(columns) {
            for (method, verdict) in METHODS.into_iter().zip(verdicts.chars()) {
                for content_type in TYPES {
                    let mut lines = Vec::new();
                    lines.extend(site.map(|site| ("sec-fetch-site", site)));
                    lines.extend(origin.map(|origin| ("origin", origin)));
                    lines.extend(content_type.map(|kind| ("content-type", kind)));
                    let headers = browser.headers(method, "/api/flows/1", &lines);
                    let cell = format!("{method}, origin {name}, {site:?}, {content_type:?}");
                    match world.request(&headers).1 {
                        Outcome::Forwarded(_) => assert_eq!(verdict, '+', "{cell}"),
                        Outcome::Reply(reply) => {
                            assert_eq!(verdict, '-', "{cell}");
                            assert_eq!(reply.status, 403, "{cell}");
                            if method != "HEAD" {
                                assert_eq!(code(&reply), "csrf", "{cell}");
                            }
                        }
                        other => panic!("{cell}: {other:?}"),
                    }
                    cells += 1;
                }
            }
        }
    }
    assert_eq!(cells, 5 * 5 * 5 * 4);
}

#[test]
fn a_request_of_another_site_with_a_session_is_refused() {
    let mut world = World::new();
    let browser = world.log_in();
    for extra in [
        [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")],
        [("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")],
        [("origin", "https://evil.example"), ("content-type", "text/plain")],
        [("origin", "null"), ("content-type", "text/plain")],
    ] {
        let headers = browser.headers("POST", "/api/flow_runs/1/set_state", &extra);
        let reply = world.request(&headers).1.reply();
        assert_eq!((reply.status, code(&reply).as_str()), (403, "csrf"), "{extra:?}");
    }
}
