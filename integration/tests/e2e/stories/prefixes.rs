//! Prefect below a path of its own, with its own protection against cross-site requests switched
//! on.

use std::time::Duration;

use serde_json::{Value, json};

use super::companion::wait_for_chip;
use super::in_the_browser::{assert_inside, choose_ui, inside_at};
use super::{Story, story};
use crate::client::Request;
use crate::gateway::Plan;
use crate::keycloak_admin::{allow_callback, basic};
use crate::prefect_client::{Client, newest, server_with};
use crate::sample_data::{SOON, SampleData};
use crate::world::{checkout, eventually, world};

const ABOUT: &str = "prefixes";
const API: &str = "/prefect/api";

pub fn stories() -> Vec<Story> {
    vec![story(
        ABOUT,
        "both UIs and clients work below /prefect, with Prefect's CSRF protection",
        below,
    )]
}

fn below() {
    let port = server_with(
        "prefect-below",
        &[
            ("PREFECT_SERVER_API_BASE_PATH", API),
            ("PREFECT_UI_SERVE_BASE", "/prefect"),
            ("PREFECT_SERVER_CSRF_PROTECTION_ENABLED", "true"),
        ],
        API,
    )
    .port;
    let mut plan = Plan::new("below").prefect(port);
    plan.settings = |settings: &mut Value| {
        let origin = settings["public_url"].as_str().unwrap().to_owned();
        settings["public_url"] = json!(format!("{origin}/prefect"));
    };
    let gateway = plan.start_unready();
    let origin = gateway.gate.origin();
    allow_callback(&format!("{origin}/prefect"));
    eventually("the gate below a path", Duration::from_secs(30), || {
        let ready = gateway.gate.try_send(&Request::get("/prefect/oauth2/ready"));
        ready.ok().filter(|answer| answer.status == 200)
    });
    let data = SampleData::make_at(port, API);
    let runs = || {
        let filter = json!({ "deployments": { "id": { "any_": [data.deployment] } } });
        data.ask("POST", "/flow_runs/count", Some(&filter)).as_u64().unwrap()
    };
    let browser = inside_at(&origin, "/prefect/", "bob");
    assert!(browser.url().starts_with(&format!("{origin}/prefect/")), "{}", browser.url());
    for (ui, prefix) in [("v2", "/prefect/v2"), ("v1", "/prefect")] {
        choose_ui(&browser, ui);
        browser.goto(&format!("{origin}{prefix}/deployments/deployment/{}", data.deployment));
        wait_for_chip(&browser, "Signed in as bob (operator)");
        let before = runs();
        browser.click_on("Run");
        browser.click_on("Quick run");
        eventually("one run more", SOON, || (runs() > before).then_some(()));
        assert_inside(&browser, &origin);
    }
    // What is not below the path is nobody's.
    gateway.gate.get("/api/health").expect(401);
    gateway.gate.get(format!("{API}/health").as_str()).expect(200);
    let moved = gateway.gate.send(
        &Request::get(format!("{API}/hello/"))
            .host(gateway.gate.machine_host())
            .header("authorization", basic(&world().stack.machine.auth_string)),
    );
    let wanted = format!("https://{}{API}/hello", gateway.gate.machine_host());
    assert_eq!(moved.expect(307).location(), wanted);
    let mut setup = newest();
    setup.api_url = format!("https://{}{API}", gateway.gate.machine_host());
    let script = checkout().join("integration/flows/hello.py");
    let client = Client::new("below", setup);
    client.python(&[&script.to_string_lossy()]).expect_success();
    gateway.admin.assert_vm_alive();
}
