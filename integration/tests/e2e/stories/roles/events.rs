//! Prefect tells of every change of a block in an event, with texts of the block: people get the
//! event without them, and by socket not at all.

use std::process;

use serde_json::{Value, json};

use super::{ABOUT, Role, by, key, keys};
use crate::client::Request;
use crate::gateway::{Gateway, Plan};
use crate::sample_data::{SOON, SampleData};
use crate::sockets::{End, Socket, auth, upgrade};
use crate::stories::sockets::assert_authenticated;
use crate::stories::{Story, story};
use crate::world::{eventually, world};

const OUT: &str = "/api/events/out";

pub fn stories() -> Vec<Story> {
    vec![story(ABOUT, "events of blocks come without their texts to who may have no secrets", told)]
}

/// A block whose class calls none of its texts secret, and something that happens after it was
/// made.
fn happened(gateway: &Gateway, data: &SampleData, planted: &str, marker: &str) -> String {
    let kind = data.ask("GET", "/block_types/slug/local-file-system", None)["id"].take();
    let filter = json!({ "block_schemas": { "block_type_id": { "any_": [kind] } } });
    let schema = data.ask("POST", "/block_schemas/filter", Some(&filter))[0]["id"].take();
    let name = format!("events-{}", process::id());
    let document = json!({
        "name": name, "block_type_id": kind, "block_schema_id": schema, "data": { "basepath": planted },
    });
    let block = data.post("/block_documents/", &document);
    recorded(data, &format!("prefect.block-document.{block}"), planted);
    // By Prefect's clock, and later than that.
    let later = data.ask("POST", "/flow_runs/", Some(&json!({ "flow_id": data.flow })));
    let event = json!([{
        "occurred": later["created"], "event": marker, "resource": { "prefect.resource.id": "e2e.marker" },
        "payload": { "kept": "as it is" }, "id": "0198c0de-0000-4000-8000-000000000001",
    }]);
    gateway
        .gate
        .send(&by(gateway, Role::Worker, Request::post("/api/events", &event.to_string())))
        .expect(204);
    recorded(data, "e2e.marker", marker);
    block
}

/// Prefect writes events down a while after they have come.
fn recorded(data: &SampleData, resource: &str, text: &str) {
    let filter = json!({ "filter": { "resource": { "id": [resource] } } });
    eventually("an event is written down", SOON, || {
        let page = data.ask("POST", "/events/filter", Some(&filter));
        page.to_string().contains(text).then_some(())
    });
}

fn told() {
    let port = world().layout.ports.prefect;
    let gateway =
        Plan::new("block-events").prefect(port).patch(json!({ "machines": keys() })).start();
    let planted = format!("/planted/{}", process::id());
    let marker = format!("e2e.marker-{}", process::id());
    let block = happened(&gateway, &SampleData::make(port), &planted, &marker);
    for role in Role::ALL {
        let shown = matches!(role, Role::Worker | Role::Admin);
        let filter = json!({ "filter": { "resource": { "id": [format!("prefect.block-document.{block}")] } } });
        let request = Request::post("/api/events/filter", &filter.to_string());
        let page = gateway.gate.send(&by(&gateway, role, request)).expect(200).text();
        assert!(page.contains(&block), "{} knows that it was made: {page}", role.name());
        assert_eq!(page.contains(&planted), shown, "{}", role.name());
        for by_header in [true, false] {
            let heard = heard(&gateway, role, by_header, &marker);
            assert!(heard.contains("as it is"), "{}", role.name());
            assert_eq!(heard.contains(&planted), shown, "{} by header: {by_header}", role.name());
            assert_eq!(heard.contains("prefect.block-document."), shown, "{}", role.name());
        }
    }
    // A client that asks for nothing else is told in Prefect's own words.
    let mut odd = Socket::opened(&gateway.gate, &upgrade(OUT));
    odd.send_text(&auth(format!("viewer:{}", key(Role::Viewer))));
    assert_authenticated(&mut odd, OUT);
    odd.send_text(r#"{"type":"other"}"#);
    assert_eq!(odd.end(SOON), End::Close(1002));
    gateway.admin.assert_vm_alive();
}

/// All that a socket brings of the last minutes, up to something that happened at their end.
fn heard(gateway: &Gateway, role: Role, by_header: bool, marker: &str) -> String {
    let request = upgrade(OUT);
    let (request, token) = if by_header {
        (by(gateway, role, request), Value::Null)
    } else {
        (request, format!("{}:{}", role.name(), key(role)).into())
    };
    let mut socket = Socket::opened(&gateway.gate, &request);
    socket.send_text(&auth(token));
    assert_authenticated(&mut socket, OUT);
    let filter = json!({ "type": "filter", "filter": {
        "event": { "prefix": ["prefect.block-document.", marker] },
    } });
    socket.send_text(&filter.to_string());
    let mut heard = String::new();
    while !heard.contains(marker) {
        let frame = socket.next(SOON).unwrap_or_else(|end| panic!("{}: {end:?}", role.name()));
        heard += &frame.text();
    }
    heard
}
