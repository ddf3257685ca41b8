//! Clients that leave, and hosts that are not Envoy.

use std::rc::Rc;

use super::{Story, Who};
use crate::browser::Browser;
use crate::provider::{CLIENT, CLIENT_SECRET, FIRST, STRANGE, forge, logout, machine, sign};
use crate::world::{Request, SCRIPT, World, basic, configuration};

pub const STORIES: &[Story] = &[
    Story::new("client that leaves", leaves)
        .known(&["left", "to Prefect as client:etl-worker with the secret"])
        .stranger(&["left", "401 client_credentials"]),
    Story::new("session that another worker has ended", ended_elsewhere)
        .stranger(&["401 session_ended"]),
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

/// What the provider has told one worker counts at the other.
fn ended_elsewhere(world: &mut World, _: Who) -> Option<()> {
    let browser = Browser::logged_in(world);
    let mut other = World::loaded(None);
    other.vm.share(&Rc::clone(world.vm.shared()));
    other.vm.seed(1);
    assert!(other.vm.configure(&configuration().to_string()));
    other.work();
    // A logout ends the sessions that began before it.
    other.pass(5);
    world.pass(5);
    let lines = [("content-type", "application/x-www-form-urlencoded")];
    let request = Request::new("POST", "/oauth2/backchannel_logout", &lines).buffered();
    let token = sign(FIRST, &logout(other.now()));
    let told = other.decide(&request, Some(format!("logout_token={token}").as_bytes()));
    assert_eq!(other.vm.stream(told)?.answer()?.status(), 200);
    world.prepared();
    world.decide(&browser.request("GET", "/api/flows/1", &SCRIPT), None);
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
