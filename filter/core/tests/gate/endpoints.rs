//! Lictor's own endpoints: which paths, methods and hosts they have.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::Gate;
use crate::foundation::stream::StreamId;
use crate::gate::decision::Decision;
use crate::gate::endpoints::Endpoint;
use crate::testing::browser::NAVIGATION;
use crate::testing::logout::buffered;
use crate::testing::{FORM, Outcome, SAMPLES, World, header, reply_header, request_to};
use crate::wire::http::request::RequestView;

const METHODS: [&str; 3] = ["GET", "POST", "DELETE"];
/// Where browsers log in, a host for machines, and the address that a probe uses.
const HOSTS: [&str; 3] = ["prefect.example.com", "api.prefect.example.com", "10.0.0.7"];
/// The status while a body is awaited.
const READS: u16 = 0;

/// A path, and the status for each host and method of a page load without a credential.
type Row = (&'static str, [[u16; 3]; 3]);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    ("/oauth2/live", [[200, 405, 405], [200, 405, 405], [200, 405, 405]]),
    ("/oauth2/ready", [[200, 405, 405], [200, 405, 405], [200, 405, 405]]),
    ("/oauth2/start", [[302, 405, 405], [404, 405, 405], [421, 405, 405]]),
    ("/oauth2/sign_in", [[302, 405, 405], [404, 405, 405], [421, 405, 405]]),
    ("/oauth2/callback", [[302, 405, 405], [404, 405, 405], [421, 405, 405]]),
    ("/oauth2/sign_out", [[200, 200, 405], [404, 404, 405], [421, 421, 405]]),
    ("/oauth2/userinfo", [[401, 405, 405], [401, 405, 405], [421, 405, 405]]),
    ("/oauth2/auth", [[401, 401, 401], [401, 401, 401], [403, 403, 403]]),
    ("/oauth2/backchannel_logout", [[405, READS, 405], [405, READS, 405], [405, READS, 405]]),
    ("/oauth2/token", [[302, 401, 405], [404, 404, 405], [421, 421, 405]]),
    ("/oauth2/companion.js", [[200, 405, 405], [200, 405, 405], [421, 405, 405]]),
    // Nothing else below the prefix is an endpoint, or reaches Prefect.
    ("/oauth2", [[404; 3]; 3]),
    ("/oauth2/", [[404; 3]; 3]),
    ("/oauth2/nowhere", [[404; 3]; 3]),
    ("/oauth2/LIVE", [[404; 3]; 3]),
    ("/oauth2/live/", [[404; 3]; 3]),
    // These are Prefect's.
    ("/oauth2x", [[302, 401, 401], [302, 401, 401], [421; 3]]),
    ("/oauth2x/live", [[302, 401, 401], [302, 401, 401], [421; 3]]),
];

#[test]
fn each_endpoint_has_a_row() {
    let rows = TABLE.iter().filter_map(|(path, _)| path.strip_prefix("/oauth2"));
    let rows: Vec<&str> = rows.filter(|path| Endpoint::paths().any(|own| own == *path)).collect();
    assert_eq!(rows, Endpoint::paths().collect::<Vec<_>>());
}

/// Without the buffer filter on its route, the head of a request continues before its body is read.
#[test]
fn the_samples_hold_each_request_whose_body_an_endpoint_reads() {
    let reads = |path: &&str| {
        let mut world = World::with(&buffered());
        let headers = request_to(HOSTS[0], "POST", &format!("/oauth2{path}"), &[FORM]);
        matches!(world.request(&headers).1, Outcome::Reading(_))
    };
    let mut paths: Vec<&str> =
        Endpoint::paths().filter(reads).map(|path| path.trim_start_matches('/')).collect();
    paths.sort_unstable();
    let route = format!("safe_regex: {{ regex: \"/oauth2/({})\" }}", paths.join("|"));
    for sample in SAMPLES {
        assert!(sample.contains(&route), "a sample has no route {route}");
    }
}

#[test]
fn each_endpoint_has_its_methods_and_hosts() {
    for (path, wanted) in TABLE {
        for (host, wanted) in HOSTS.iter().zip(wanted) {
            let seen = METHODS.map(|method| {
                let mut world = World::with(&buffered());
                world.request(&request_to(host, method, path, &NAVIGATION)).1.status()
            });
            assert_eq!(seen, *wanted, "{path} at {host}");
        }
    }
}

#[test]
fn a_wrong_method_is_told_those_of_the_endpoint() {
    for (path, wanted) in [
        ("/oauth2/live", "GET, HEAD"),
        ("/oauth2/sign_out", "GET, HEAD, POST"),
        ("/oauth2/backchannel_logout", "POST"),
    ] {
        let reply = World::new().request(&request_to(HOSTS[0], "DELETE", path, &[])).1.reply();
        assert_eq!(reply_header(&reply, "allow"), Some(wanted), "{path}");
    }
}

/// A head that ends the request is answered at once: no body event will come.
#[test]
fn a_body_that_does_not_come_is_a_refusal() {
    for path in ["/oauth2/backchannel_logout", "/oauth2/token"] {
        let mut world = World::with(&buffered());
        let headers = request_to(HOSTS[0], "POST", path, &[FORM]);
        let view = RequestView { headers: &headers };
        let decision = Gate::new(StreamId(1)).on_request(view, true, &mut world.cx());
        let Decision::Reply(reply) = decision else { panic!("{path}: {decision:?}") };
        assert_eq!(reply.status, 400, "{path}");
    }
}

/// Prefect sees a configured name, also of a probe that names an address.
#[test]
fn a_public_path_reaches_prefect_under_a_configured_name() {
    for (host, wanted) in HOSTS.iter().zip([HOSTS[0], HOSTS[1], HOSTS[0]]) {
        let mut world = World::new();
        let sent = world.request(&request_to(host, "GET", "/api/health", &[])).1.forwarded();
        assert_eq!(header(&sent, ":authority"), Some(wanted), "{host}");
    }
}
