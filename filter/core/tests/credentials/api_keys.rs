//! API keys: which are known, and until when.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use serde_json::json;

use crate::gate::decision::DataStep;
use crate::testing::{API_KEY, World, auth_frame, basic, code, configuration, request};
use crate::tests::sockets::rewritten;

/// A world with a key that expires in a minute.
fn world() -> World {
    let mut settings = configuration();
    settings["machines"]["api_keys"][0]["expires"] = json!("2027-01-15T08:01:00Z");
    World::with(&settings)
}

#[test]
fn a_key_expires() {
    let table =
        [(0, None), (59, None), (60, Some("expired_api_key")), (3600, Some("expired_api_key"))];
    for (seconds, refused) in table {
        for (name, value) in [
            ("x-api-key", API_KEY.to_owned()),
            ("authorization", format!("Bearer {API_KEY}")),
            ("authorization", basic(&format!("etl:{API_KEY}"))),
        ] {
            let mut world = world();
            world.pass(seconds);
            let outcome = world.request(&request("GET", "/api/flows/1", &[(name, &value)])).1;
            match refused {
                None => drop(outcome.forwarded()),
                Some(wanted) => assert_eq!(code(&outcome.reply()), wanted, "{seconds} {value}"),
            }
        }
    }
}

#[test]
fn an_expired_key_opens_no_socket_and_ends_its_own() {
    let mut world = world();
    let mut gate = world.unproved_socket();
    rewritten(gate.on_request_data(&auth_frame(API_KEY), false, &mut world.cx()));
    world.pass(59);
    assert_eq!(gate.on_response_data(b"", false, &mut world.cx()), DataStep::Pass);
    world.pass(1);
    assert_eq!(gate.on_response_data(b"", false, &mut world.cx()), DataStep::Reset);
    let mut late = world.unproved_socket();
    let _ = late.on_request_data(&auth_frame(API_KEY), false, &mut world.cx());
    assert_eq!(late.state_name(), "Socket, closed");
}
