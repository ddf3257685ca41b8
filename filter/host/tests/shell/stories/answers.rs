//! What is changed of Prefect's answers.

use lictor_host::headers;
use serde_json::json;

use super::{Story, Who};
use crate::browser::Browser;
use crate::world::{Request, SCRIPT, World, key};

pub const STORIES: &[Story] = &[
    Story::new("masked answer", masked).known(&["to Prefect as key:viewer with the secret, 200"]),
    Story::new("masked answer with trailers", trailers)
        .known(&["to Prefect as key:viewer with the secret, 200, reset"]),
    Story::new("UI settings", ui_settings).known(&["to Prefect as user:alice-1, 200"]),
    Story::new("Prefect refuses the shared secret", refused)
        .known(&["to Prefect as key:worker with the secret, 502 prefect_secret"]),
    Story::new("page with the companion", companion).known(&["to Prefect as user:alice-1, 200"]),
];

fn document() -> Request {
    Request::new("GET", "/api/block_documents/1", &[("x-api-key", &key("viewer"))])
}

/// A viewer gets a block without its data.
fn masked(world: &mut World, _: Who) -> Option<()> {
    world.prepared();
    let id = world.decide(&document(), None);
    let data = json!({"value": {"password": "planted-secret-of-a-block"}});
    let body = json!({"id": "1", "name": "db", "block_type_id": "2", "data": data});
    let lines =
        [(":status", "200"), ("content-length", "99"), ("content-type", "application/json")];
    world.respond(id, &lines, body.to_string().as_bytes());
    Some(())
}

fn trailers(world: &mut World, _: Who) -> Option<()> {
    world.prepared();
    let id = world.decide(&document(), None);
    world.vm.step("head of the answer");
    world.vm.respond(id, headers::from_text(&[(":status", "200")]), false);
    world.vm.step("first half of the answer");
    world.vm.response_body(id, br#"{"data": "planted-secret-of-a-block"}"#, false);
    world.vm.response_trailers(id, &headers::from_text(&[("x-trailer", "1")]));
    Some(())
}

fn ui_settings(world: &mut World, _: Who) -> Option<()> {
    let browser = Browser::logged_in(world);
    world.prepared();
    let id = world.decide(&browser.request("GET", "/ui-settings", &SCRIPT), None);
    let settings = json!({"api_url": "http://127.0.0.1:4200/api", "auth": "BASIC", "flags": []});
    world.respond(id, &[(":status", "200")], settings.to_string().as_bytes());
    Some(())
}

/// What Prefect says of the secret is for nobody.
fn refused(world: &mut World, _: Who) -> Option<()> {
    world.prepared();
    let request = Request::new("GET", "/api/flows/1", &[("x-api-key", &key("worker"))]);
    let id = world.decide(&request, None);
    let lines = [(":status", "401"), ("www-authenticate", "Basic")];
    world.respond(id, &lines, b"planted: the secret is wrong");
    Some(())
}

fn companion(world: &mut World, _: Who) -> Option<()> {
    let browser = Browser::logged_in(world);
    world.prepared();
    let id = world.decide(&browser.request("GET", "/", &crate::world::NAVIGATION), None);
    let lines = [(":status", "200"), ("content-type", "text/html")];
    world.respond(id, &lines, b"<html><head></head><body></body></html>");
    Some(())
}
