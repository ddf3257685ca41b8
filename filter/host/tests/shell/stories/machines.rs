//! Machines with credentials in headers.

use super::{Story, Who};
use crate::provider::{CLIENT, CLIENT_SECRET, FIRST, SECOND, STRANGE, forge, machine, sign};
use crate::world::{HTPASSWD, Request, World, basic, key};

pub const STORIES: &[Story] = &[
    Story::new("start", start)
        .unconfigured()
        .known(&["to Prefect as key:worker with the secret", "200", "302 issuer/auth"])
        .stranger(&["200", "302 issuer/auth"]),
    Story::new("API key", api_key)
        .known(&["to Prefect as key:worker with the secret"])
        .stranger(&["401 unknown_api_key"]),
    Story::new("bearer token", bearer)
        .known(&["to Prefect as client:etl-worker with the secret"])
        .stranger(&["401 invalid_token"]),
    Story::new("bearer token of an unknown key", unknown_key)
        .known(&["to Prefect as client:etl-worker with the secret"])
        .stranger(&["401 unknown_key"]),
    Story::new("client credentials", client_credentials)
        .known(&["to Prefect as client:etl-worker with the secret"])
        .stranger(&["401 client_credentials"]),
    Story::new("password of an htpasswd file", password)
        .known(&["to Prefect as htpasswd:reports with the secret"])
        .stranger(&["401 wrong_password"]),
    Story::new("client certificate", certificate)
        .known(&["to Prefect as cert:edge with the secret"])
        .stranger(&["401 not_authenticated"]),
    Story::new("role too small", role_too_small).stranger(&["403 role_missing"]),
    Story::new("public path", public_path).known(&["to Prefect as nobody"]),
    Story::new("refusal over HTTP/2", refusal_over_http2).stranger(&["401 unknown_api_key"]),
];

/// From the configuration to the first request.
fn start(world: &mut World, who: Who) -> Option<()> {
    world.prepared();
    if !world.vm.configure(&crate::world::configuration().to_string()) {
        return None;
    }
    world.work();
    if who == Who::Known {
        show(world, "x-api-key", &key("worker"));
    }
    world.decide(&Request::new("GET", "/oauth2/ready", &[]), None);
    world.decide(&Request::new("GET", "/", &crate::world::NAVIGATION), None);
    Some(())
}

/// Asks something of Prefect with a credential in a header; a client that poses as somebody else,
/// too.
fn show(world: &mut World, name: &str, value: &str) {
    let request = Request::new("POST", "/api/flow_runs/filter", &[(name, value)]).posing();
    world.decide(&request, Some(b"{}"));
}

fn api_key(world: &mut World, who: Who) -> Option<()> {
    let key = if who == Who::Known { key("worker") } else { "lk_wrong".to_owned() };
    world.prepared();
    show(world, "x-api-key", &key);
    Some(())
}

fn bearer(world: &mut World, who: Who) -> Option<()> {
    let claims = machine(world.now());
    let token =
        if who == Who::Known { sign(FIRST, &claims) } else { forge(STRANGE, FIRST, &claims) };
    world.prepared();
    show(world, "authorization", &format!("Bearer {token}"));
    Some(())
}

fn password(world: &mut World, who: Who) -> Option<()> {
    let pair = if who == Who::Known { HTPASSWD.0 } else { "reports:wrong" };
    world.prepared();
    show(world, "authorization", &basic(pair));
    Some(())
}

/// The key is fetched while the request waits. The stranger's is not published.
fn unknown_key(world: &mut World, who: Who) -> Option<()> {
    world.pass(60);
    let key = if who == Who::Known { SECOND } else { STRANGE };
    world.provider.published = 2;
    let token = sign(key, &machine(world.now()));
    world.prepared();
    show(world, "authorization", &format!("Bearer {token}"));
    Some(())
}

/// They are exchanged at the provider while the request waits.
fn client_credentials(world: &mut World, who: Who) -> Option<()> {
    let secret = if who == Who::Known { CLIENT_SECRET } else { "wrong" };
    world.prepared();
    show(world, "authorization", &basic(&format!("{CLIENT}:{secret}")));
    Some(())
}

fn certificate(world: &mut World, who: Who) -> Option<()> {
    let mut request = Request::new("POST", "/api/flow_runs/filter", &[]).posing();
    let uri: &[u8] = if who == Who::Known { b"spiffe://x/edge" } else { b"spiffe://x/other" };
    for (name, value) in [
        ("connection.mtls", [1].as_slice()),
        ("connection.uri_san_peer_certificate", uri),
        ("connection.sha256_peer_certificate_digest", b"c0ffee"),
    ] {
        request = request.with_property(name, value);
    }
    world.prepared();
    world.decide(&request, Some(b"{}"));
    Some(())
}

fn role_too_small(world: &mut World, _: Who) -> Option<()> {
    world.prepared();
    let lines = [("x-api-key", key("viewer"))];
    let lines = lines.each_ref().map(|(name, value)| (*name, value.as_str()));
    world.decide(&Request::new("POST", "/api/deployments/1/create_flow_run", &lines), Some(b"{}"));
    Some(())
}

/// Nobody needs a credential there, and nobody's goes along.
fn public_path(world: &mut World, _: Who) -> Option<()> {
    world.prepared();
    let lines = [("authorization", "Basic eDp5")];
    world.decide(&Request::new("GET", "/api/health", &lines).posing(), None);
    Some(())
}

/// An answer that comes before the body waits for it a moment.
fn refusal_over_http2(world: &mut World, _: Who) -> Option<()> {
    world.prepared();
    let request = Request::new("POST", "/api/flows/filter", &[("x-api-key", "lk_wrong")]);
    world.decide(&request.with_property("request.protocol", b"HTTP/2"), Some(b"{}"));
    Some(())
}
