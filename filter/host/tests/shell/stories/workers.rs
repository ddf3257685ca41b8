//! Clients that leave, and hosts that are not Envoy.

use super::{Story, Who};
use crate::provider::{CLIENT, CLIENT_SECRET, FIRST, STRANGE, forge, machine, sign};
use crate::world::{Request, World, basic};

pub const STORIES: &[Story] = &[
    Story::new("client that leaves", leaves)
        .known(&["left", "to Prefect as client:etl-worker with the secret"])
        .stranger(&["left", "401 client_credentials"]),
    Story::new("host without foreign functions", without_foreign_functions)
        .known(&["to Prefect as client:etl-worker with the secret"])
        .stranger(&["401 invalid_token"]),
];

/// One client leaves while two wait for the same exchange.
fn leaves(world: &mut World, who: Who) -> Option<()> {
    let secret = if who == Who::Known { CLIENT_SECRET } else { "wrong" };
    let line = basic(&format!("{CLIENT}:{secret}"));
    let request = Request::new("GET", "/api/flows/1", &[("authorization", &line)]);
    world.prepared();
    let first = world.send(&request, None);
    world.send(&request, None);
    world.vm.close(first);
    world.work();
    Some(())
}

fn without_foreign_functions(world: &mut World, who: Who) -> Option<()> {
    let claims = machine(world.now());
    let token =
        if who == Who::Known { sign(FIRST, &claims) } else { forge(STRANGE, FIRST, &claims) };
    let line = format!("Bearer {token}");
    world.vm.set_foreign_functions(false);
    world.prepared();
    world.decide(&Request::new("GET", "/api/flows/1", &[("authorization", &line)]), None);
    Some(())
}
