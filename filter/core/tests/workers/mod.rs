//! Workers of one process: what one has fetched all have, and what is in the store between them is
//! believed only when one of them wrote it (invariant I13).

mod documents;
mod keys;
mod marks;
mod single_flight;

use crate::testing::{World, request};

const METADATA: &str = "/realms/prefect/.well-known/openid-configuration";

const CERTS: &str = "/realms/prefect/certs";

fn fetched(workers: &[World]) -> (usize, usize) {
    let calls = |path| workers.iter().map(|world| world.idp.called(path)).sum();
    (calls(METADATA), calls(CERTS))
}

/// A request with an access token that the provider signs with its newest key.
fn version_by(world: &World) -> crate::testing::Headers {
    let token = world.bearer();
    request("GET", "/api/admin/version", &[("authorization", &token)])
}
