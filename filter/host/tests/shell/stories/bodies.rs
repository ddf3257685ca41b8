//! Requests that are judged by their body, on routes with the buffer filter.

use lictor_host::headers;
use serde_json::json;

use super::{Story, Who};
use crate::browser::Browser;
use crate::provider::{FIRST, SECOND, STRANGE, forge, logout, sign};
use crate::world::{Request, SCRIPT, World, key};

pub const STORIES: &[Story] = &[
    Story::new("judged body", judged)
        .known(&["to Prefect as key:viewer with the secret"])
        .stranger(&["403 role_missing"]),
    Story::new("judged body that is absent", absent)
        .known(&["to Prefect as key:viewer with the secret"]),
    Story::new("judged body with trailers", trailers).stranger(&["403 role_missing"]),
    Story::new("back-channel logout", backchannel)
        .known(&["200", "401 session_ended"])
        .stranger(&["400 invalid_logout_token"]),
    Story::new("back-channel logout by an unknown key", backchannel_unknown_key)
        .known(&["200"])
        .stranger(&["400 invalid_logout_token"]),
    Story::new("back-channel logout without a body", backchannel_without_body)
        .stranger(&["400 invalid_logout_token"]),
    Story::new("back-channel logout with trailers", backchannel_with_trailers)
        .stranger(&["400 invalid_logout_token"]),
    Story::new("request and answer with trailers", forwarded_with_trailers)
        .known(&["to Prefect as key:worker with the secret, 200"]),
    Story::new("trade of a program", trade).stranger(&["400 invalid_grant"]),
];

fn filter() -> Request {
    let key = key("viewer");
    Request::new("POST", "/api/block_documents/filter", &[("x-api-key", &key)]).posing().buffered()
}

/// Who may not have secrets may ask for the rest.
fn judged(world: &mut World, who: Who) -> Option<()> {
    let body = json!({"include_secrets": who == Who::Stranger}).to_string();
    world.prepared();
    world.decide(&filter(), Some(body.as_bytes()));
    Some(())
}

fn absent(world: &mut World, _: Who) -> Option<()> {
    world.prepared();
    world.decide(&filter(), None);
    Some(())
}

fn trailers(world: &mut World, _: Who) -> Option<()> {
    world.prepared();
    let id = world.send_open(&filter());
    world.vm.body(id, b"{}", false);
    world.vm.trailers(id, headers::from_text(&[("x-trailer", "1")]));
    Some(())
}

fn form() -> Request {
    let lines = [("content-type", "application/x-www-form-urlencoded")];
    Request::new("POST", "/oauth2/backchannel_logout", &lines).buffered()
}

/// The provider ends a session, which counts no more.
fn backchannel(world: &mut World, who: Who) -> Option<()> {
    let browser = Browser::logged_in(world);
    let claims = logout(world.now());
    let token =
        if who == Who::Known { sign(FIRST, &claims) } else { forge(STRANGE, FIRST, &claims) };
    world.prepared();
    let id = world.decide(&form(), Some(format!("logout_token={token}").as_bytes()));
    if who == Who::Known && world.vm.stream(id)?.answer()?.status() == 200 {
        world.decide(&browser.request("GET", "/api/flows/1", &SCRIPT), None);
    }
    Some(())
}

fn backchannel_unknown_key(world: &mut World, who: Who) -> Option<()> {
    world.pass(60);
    world.provider.published = 2;
    let key = if who == Who::Known { SECOND } else { STRANGE };
    let token = sign(key, &logout(world.now()));
    world.prepared();
    world.decide(&form(), Some(format!("logout_token={token}").as_bytes()));
    Some(())
}

fn backchannel_without_body(world: &mut World, _: Who) -> Option<()> {
    world.prepared();
    world.decide(&form(), None);
    Some(())
}

/// They would let the whole request go on.
fn backchannel_with_trailers(world: &mut World, _: Who) -> Option<()> {
    world.prepared();
    let id = world.send_open(&form());
    world.vm.step("first half of the body");
    world.vm.body(id, b"logout_token=", false);
    world.vm.step("trailers");
    world.vm.trailers(id, headers::from_text(&[("x-trailer", "1")]));
    Some(())
}

fn forwarded_with_trailers(world: &mut World, _: Who) -> Option<()> {
    let key = key("worker");
    world.prepared();
    let request = Request::new("POST", "/api/flow_runs/filter", &[("x-api-key", &key)]);
    let id = world.send_open(&request.posing());
    world.vm.stream(id)?.upstream()?;
    world.vm.step("trailers");
    world.vm.body(id, b"{}", false);
    world.vm.trailers(id, headers::from_text(&[("x-trailer", "1")]));
    world.vm.step("answer");
    world.vm.respond(id, headers::from_text(&[(":status", "200")]), false);
    world.vm.response_body(id, b"[]", false);
    world.vm.response_trailers(id, &headers::from_text(&[("x-trailer", "1")]));
    Some(())
}

/// A code that nobody has made.
fn trade(world: &mut World, _: Who) -> Option<()> {
    let lines = [("content-type", "application/x-www-form-urlencoded")];
    world.prepared();
    let request = Request::new("POST", "/oauth2/token", &lines).buffered();
    world.decide(&request, Some(b"grant_type=authorization_code&code=x&code_verifier=y"));
    Some(())
}
