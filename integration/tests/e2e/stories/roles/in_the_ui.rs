//! Each role in Prefect's real pages: who looks at everything is never refused, who does what is
//! not his is told so, who may does it.

use std::fs;
use std::time::{Duration, Instant};

use lictor_integration::tools::PREFECT_VERSIONS;
use serde_json::{Value, json};

use super::ABOUT;
use crate::browser::Browser;
use crate::gateway::{Gateway, Plan};
use crate::keycloak_admin::allow_callback;
use crate::prefect_client::server;
use crate::sample_data::{SOON, SampleData};
use crate::stories::in_the_browser::{assert_inside, choose_ui, inside_at};
use crate::stories::{Story, story};
use crate::traffic;
use crate::world::{eventually, world};

const TOLD: &str = "Your role does not allow this. Required role: ";
/// Longer than the first requests of a page take.
const POLLS: Duration = Duration::from_secs(6);
/// Every page of the menus.
const V1: &[&str] = &[
    "/dashboard",
    "/runs",
    "/flows",
    "/deployments",
    "/work-pools",
    "/blocks",
    "/blocks/catalog",
    "/variables",
    "/automations",
    "/events",
    "/concurrency-limits",
    "/settings",
];

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "a viewer looks at every page of both UIs, and is refused nothing", viewer)
            .apart(),
        story(ABOUT, "a viewer of Prefect 3.4.13, too", viewer_of_old).apart(),
        story(ABOUT, "a viewer who clicks what is not his is told so in words", forbidden).apart(),
        story(ABOUT, "an operator runs, cancels and pauses by clicks", operator).apart(),
        story(ABOUT, "blocks are whole for an admin, and without their data for others", blocks)
            .apart(),
        story(ABOUT, "somebody without a role is told which ones would do", roleless),
    ]
}

fn enter(name: &'static str, port: u16, user: &str) -> (Gateway, Browser, String) {
    let gateway = Plan::new(name).prefect(port).start();
    let origin = gateway.gate.origin();
    allow_callback(&origin);
    let browser = inside_at(&origin, "/", user);
    (gateway, browser, origin)
}

/// Refusals for a role, as the gate has logged them.
fn refusals(gateway: &Gateway) -> Vec<String> {
    let log = fs::read_to_string(gateway.layout.log("envoy")).unwrap();
    let refused = log.lines().filter(|line| line.contains("refused reason=role_missing"));
    refused.map(str::to_owned).collect()
}

/// How many requests for paths with this end Prefect itself has answered with 503.
fn errors(gateway: &Gateway, end: &str) -> usize {
    let log = fs::read_to_string(gateway.layout.log("access")).unwrap();
    let entries = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let is_error = |entry: &Value| {
        let path = entry["path"].as_str().unwrap_or_default();
        entry["status"] == 503 && entry["details"] == "via_upstream" && path.ends_with(end)
    };
    entries.filter(is_error).count()
}

/// Until a page has asked for all that it wants, or polls.
fn settle(browser: &Browser) {
    let script = "return performance.getEntriesByType('resource').length";
    let began = Instant::now();
    let mut last = (Value::Null, 0);
    browser.wait("the page has settled", |browser| {
        let now = browser.script(script);
        last = if now == last.0 { (now, last.1 + 1) } else { (now, 0) };
        last.1 >= 8 || began.elapsed() > POLLS
    });
}

fn browse(browser: &Browser, gateway: &Gateway, origin: &str, pages: &[String]) {
    for page in pages {
        browser.goto(&format!("{origin}{page}"));
        settle(browser);
        assert_inside(browser, origin);
        assert!(!browser.text().contains(TOLD), "{page}: {}", browser.text());
        assert_eq!(refusals(gateway), [""; 0], "{page}");
    }
}

fn pages_of(data: &SampleData, prefix: &str) -> Vec<String> {
    let menu = V1.iter().map(|page| format!("{prefix}{page}"));
    let some = [
        format!("{prefix}/runs/flow-run/{}", data.run),
        format!("{prefix}/flows/flow/{}", data.flow),
        format!("{prefix}/deployments/deployment/{}", data.deployment),
    ];
    menu.chain(some).collect()
}

fn viewer() {
    let port = world().layout.ports.prefect;
    let data = SampleData::make(port);
    let (gateway, browser, origin) = enter("viewer", port, "carol");
    for (ui, prefix) in [("v2", "/v2"), ("v1", "")] {
        choose_ui(&browser, ui);
        browse(&browser, &gateway, &origin, &pages_of(&data, prefix));
    }
    assert!(traffic::record(&gateway, "viewer") > 25);
    gateway.admin.assert_vm_alive();
}

fn viewer_of_old() {
    let port = server(PREFECT_VERSIONS[0]).port;
    let data = SampleData::make(port);
    let (gateway, browser, origin) = enter("viewer-of-old", port, "carol");
    browse(&browser, &gateway, &origin, &pages_of(&data, ""));
    assert!(traffic::record(&gateway, "viewer") > 20);
}

/// What the companion, or the page itself, says.
fn wait_until_told(browser: &Browser) {
    browser.wait("a message", |browser| {
        let note = "return document.querySelector('lictor-companion').shadowRoot.textContent";
        browser.text().contains(TOLD) || browser.script(note).to_string().contains(TOLD)
    });
}

fn forbidden() {
    let port = world().layout.ports.prefect;
    let data = SampleData::make(port);
    let (gateway, browser, origin) = enter("forbidden", port, "carol");
    choose_ui(&browser, "v2");
    browser.goto(&format!("{origin}/v2/deployments/deployment/{}", data.deployment));
    browser.click_on("Run");
    browser.click_on("Quick run");
    wait_until_told(&browser);
    browser.goto(&format!("{origin}/v2/runs/flow-run/{}", data.run));
    browser.click_on("Open menu");
    browser.click_on("Cancel");
    browser.click_on("Cancel Flow Run");
    wait_until_told(&browser);
    choose_ui(&browser, "v1");
    browser.goto(&format!("{origin}/runs/flow-run/{}", data.run));
    browser.click_on("Cancel");
    browser.click_on("Confirm");
    wait_until_told(&browser);
    assert_eq!(data.state_of(&data.run), "RUNNING");
    assert!(refusals(&gateway).len() >= 3);
}

fn operator() {
    let port = world().layout.ports.prefect;
    let data = SampleData::make(port);
    let (gateway, browser, origin) = enter("operator", port, "bob");
    let runs = || {
        let filter = json!({ "deployments": { "id": { "any_": [data.deployment] } } });
        data.ask("POST", "/flow_runs/count", Some(&filter)).as_u64().unwrap()
    };
    let paused = || {
        data.ask("GET", &format!("/deployments/{}", data.deployment), None)["paused"]
            .as_bool()
            .unwrap()
    };
    for (ui, prefix) in [("v2", "/v2"), ("v1", "")] {
        choose_ui(&browser, ui);
        let before = runs();
        browser.goto(&format!("{origin}{prefix}/deployments/deployment/{}", data.deployment));
        // While others write much, Prefect answers 503, and a person clicks again.
        let mut tried = 0;
        eventually("one run more", SOON, || {
            if errors(&gateway, "/create_flow_run") >= tried {
                browser.click_on("Run");
                browser.click_on("Quick run");
                tried = errors(&gateway, "/create_flow_run") + 1;
            }
            (runs() > before).then_some(())
        });
        let run = data.running();
        browser.goto(&format!("{origin}{prefix}/runs/flow-run/{run}"));
        if ui == "v2" {
            browser.click_on("Open menu");
            browser.click_on("Cancel");
            browser.click_on("Cancel Flow Run");
        } else {
            browser.click_on("Cancel");
            browser.click_on("Confirm");
        }
        eventually("the run is cancelled", SOON, || {
            data.state_of(&run).starts_with("CANCELL").then_some(())
        });
        // What the switches of both UIs send.
        for pause in [true, false] {
            let switch = format!(
                "return fetch('/api/deployments/{}', {{method: 'PATCH', \
                 body: JSON.stringify({{paused: {pause}}}), \
                 headers: {{'content-type': 'application/json'}}}}).then(answer => answer.status)",
                data.deployment
            );
            // While others write much, Prefect answers 503.
            eventually("Prefect can write", SOON, || {
                (browser.script(&switch).as_u64() != Some(503)).then_some(())
            });
            eventually("the deployment is paused, or goes on", SOON, || {
                (paused() == pause).then_some(())
            });
        }
    }
    assert_eq!(refusals(&gateway), [""; 0]);
    assert!(traffic::record(&gateway, "operator") > 12);
}

fn blocks() {
    let port = world().layout.ports.prefect;
    let data = SampleData::make(port);
    let kind = data.ask("GET", "/block_types/slug/secret", None)["id"].take();
    let filter = json!({ "block_schemas": { "block_type_id": { "any_": [kind] } } });
    let schema = data.ask("POST", "/block_schemas/filter", Some(&filter))[0]["id"].take();
    // Prefect hides a secret text, and shows a secret object.
    let block = data.post(
        "/block_documents/",
        &json!({
            "name": format!("db-{}", std::process::id()), "block_type_id": kind, "block_schema_id": schema,
            "data": { "value": { "user": "u", "password": "in-clear-in-the-answer" } },
        }),
    );
    for (user, shown) in [("alice", true), ("bob", false), ("carol", false)] {
        let (gateway, browser, origin) = enter("blocks", port, user);
        for (ui, prefix) in [("v2", "/v2"), ("v1", "")] {
            choose_ui(&browser, ui);
            browser.goto(&format!("{origin}{prefix}/blocks"));
            browser.wait_text(&format!("db-{}", std::process::id()));
            browser.goto(&format!("{origin}{prefix}/blocks/block/{block}"));
            browser.wait_text(&format!("db-{}", std::process::id()));
            settle(&browser);
            assert!(!browser.text().contains("in-clear-in-the-answer") || shown, "{user} {ui}");
        }
        assert_eq!(refusals(&gateway), [""; 0]);
        for path in [
            format!("/api/block_documents/{block}"),
            "/api/block_types/slug/secret/block_documents".to_owned(),
            format!("/api/block_documents/{block}?include_secrets=true"),
        ] {
            let script = format!("return fetch('{path}').then((a) => a.text())");
            let text = browser.script(&script).to_string();
            assert_eq!(text.contains("in-clear-in-the-answer"), shown, "{user} {path}: {text}");
        }
        let script = "return fetch('/api/block_documents/filter', {method: 'POST', body: '{}'}).then((a) => a.text())";
        let text = browser.script(script).to_string();
        assert_eq!(text.contains("in-clear-in-the-answer"), shown, "{user} by filter");
        assert!(text.contains(&block), "{user} sees that it is there");
    }
}

fn roleless() {
    let origin = world().gate.origin();
    let browser = Browser::open();
    browser.goto(&format!("{origin}/v2/dashboard"));
    browser.log_in("dave");
    browser.wait_text("Not allowed");
    let text = browser.text();
    assert!(text.contains("dave") && text.contains("viewer, operator, worker or admin"), "{text}");
    assert!(text.contains("Sign out"), "{text}");
}
