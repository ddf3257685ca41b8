//! People in the real Chromium, with both of Prefect's UIs.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use lictor_integration::tools::PREFECT_VERSIONS;
use serde_json::{Value, json};
use url::Url;

use super::{Story, story};
use crate::browser::Browser;
use crate::client::{Gate, Request};
use crate::gateway::Plan;
use crate::keycloak_admin::{allow_callback, basic};
use crate::prefect_client::server;
use crate::tcp_server;
use crate::world::{Admin, eventually, prefect_sees_nothing, world};

const ABOUT: &str = "browser";

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "a second tab is logged in", second_tab),
        story(ABOUT, "the older UI works too", older_ui),
        story(ABOUT, "Prefect 3.4.13 works too", oldest_prefect).apart(),
        story(ABOUT, "sign-out shows a page, and the next login asks again", sign_out),
        story(ABOUT, "a page of another site cannot write with the cookie", other_site).counting(),
        // Later than the others: their runs are in the last full minute then.
        story(ABOUT, "a login on a deep link ends there, and the dashboard renders", dashboard),
    ]
}

/// Nothing that only Prefect's own login page has, and we are at Prefect.
#[track_caller]
pub fn assert_inside(browser: &Browser, origin: &str) {
    let (url, text) = (browser.url(), browser.text());
    assert!(url.starts_with(origin), "at {url}");
    assert!(!Url::parse(&url).unwrap().path().contains("login"), "Prefect's own login page: {url}");
    assert!(!browser.has("input[type=password]"), "a password is asked for: {text}");
    for failure in
        ["Authentication failed", "Unable to connect", "Something went wrong", "not valid JSON"]
    {
        assert!(!text.contains(failure), "{failure}: {text}");
    }
}

/// What only a dashboard has that has got its data: how many runs there are, and the failed one
/// of [`some_runs`]. The newer UI counts
/// up to the last full minute, so a person who has just started something loads it again.
#[track_caller]
fn wait_for_dashboard(browser: &Browser) {
    let address = browser.url();
    eventually("the dashboard with its runs", Duration::from_secs(100), || {
        browser.goto(&address);
        browser.wait("the dashboard", |browser| {
            let text = browser.text();
            ["Dashboard", "Flow Runs", "Task Runs", "Active Work Pools"]
                .iter()
                .all(|w| text.contains(w))
        });
        let drawn = Instant::now();
        while drawn.elapsed() < Duration::from_secs(5) {
            let text = browser.text();
            if text.contains("total") && text.contains("load-orders") {
                return Some(());
            }
        }
        None
    });
}

/// A few runs, so that there is something to see: by the API, through the gate.
pub fn some_runs(gate: &Gate) {
    let key = basic(&world().stack.machine.auth_string);
    let send = |path: &str, body: Value| {
        let request = Request::post(path, &body.to_string()).host(gate.machine_host());
        let request = request.header("authorization", &key);
        // Prefect on SQLite answers 503 while its database is locked; its clients try again, too.
        eventually("Prefect's database is free", Duration::from_secs(30), || {
            let answer = gate.send(&request);
            let (status, text) = (answer.status, answer.text());
            assert!(matches!(status, 200 | 201 | 503), "{path}: {status} {text}");
            (status != 503).then(|| answer.json())
        })
    };
    for (flow, states) in [
        ("load-orders", ["COMPLETED", "COMPLETED", "FAILED", "COMPLETED"].as_slice()),
        ("train-model", ["COMPLETED", "RUNNING"].as_slice()),
        ("daily-report", ["COMPLETED", "COMPLETED", "SCHEDULED"].as_slice()),
    ] {
        let flow = send("/api/flows/", json!({ "name": flow }))["id"].take();
        for state in states {
            let run =
                send("/api/flow_runs/", json!({ "flow_id": flow, "state": { "type": "PENDING" } }));
            let path = format!("/api/flow_runs/{}/set_state", run["id"].as_str().unwrap());
            for state in ["RUNNING", state] {
                send(&path, json!({ "state": { "type": state }, "force": true }));
            }
        }
    }
}

/// Waits until a page that has been left asks for nothing more.
pub fn wait_for_quiet(admin: Admin) {
    let mut seen = (admin.reached_prefect(), Instant::now());
    eventually("no more requests", Duration::from_secs(20), || {
        let now = admin.reached_prefect();
        if now != seen.0 || admin.counter("cluster.prefect.upstream_rq_active") > 0 {
            seen = (now, Instant::now());
        }
        (seen.1.elapsed() > Duration::from_millis(700)).then_some(())
    });
}

/// A browser that has logged in at the main stack, on the UI's start.
pub fn inside(user: &str) -> Browser {
    inside_at(&world().gate.origin(), "/", user)
}

/// The same at some origin, on some page.
pub fn inside_at(origin: &str, path: &str, user: &str) -> Browser {
    let browser = Browser::open();
    browser.goto(&format!("{origin}{path}"));
    browser.log_in(user);
    browser.wait("back at Prefect", |browser| browser.url().starts_with(origin));
    browser
}

/// Which of its UIs Prefect shows from now on: `v1` or `v2`.
pub fn choose_ui(browser: &Browser, ui: &str) {
    browser.script(&format!("document.cookie = 'prefect_ui_version={ui}; path=/'"));
}

fn dashboard() {
    some_runs(&world().gate);
    let origin = world().gate.origin();
    let browser = Browser::open();
    browser.scheme("light");
    browser.goto(&format!("{origin}/v2/flows?name=x"));
    assert!(browser.url().starts_with(&world().layout.issuer()), "no login: {}", browser.url());
    browser.log_in("alice");
    browser
        .wait("the deep link", |browser| browser.url().starts_with(&format!("{origin}/v2/flows?")));
    browser.wait_text("Flows");
    assert_inside(&browser, &origin);
    assert!(browser.url().contains("name=x"), "the query is lost: {}", browser.url());

    browser.goto(&format!("{origin}/v2/dashboard"));
    wait_for_dashboard(&browser);
    browser.wait_text("load-orders");
    assert_inside(&browser, &origin);
}

fn second_tab() {
    let origin = world().gate.origin();
    let browser = inside("alice");
    browser.new_tab();
    browser.goto(&format!("{origin}/v2/runs"));
    assert!(browser.url().starts_with(&origin), "a second login: {}", browser.url());
    browser.wait_text("Runs");
    assert_inside(&browser, &origin);
}

fn older_ui() {
    some_runs(&world().gate);
    let origin = world().gate.origin();
    let browser = inside("bob");
    choose_ui(&browser, "v1");
    browser.goto(&format!("{origin}/dashboard"));
    wait_for_dashboard(&browser);
    assert!(!browser.url().contains("/v2/"), "{}", browser.url());
    assert_inside(&browser, &origin);
}

fn oldest_prefect() {
    let gateway = Plan::new("browser-oldest").prefect(server(PREFECT_VERSIONS[0]).port).start();
    let origin = gateway.gate.origin();
    allow_callback(&origin);
    some_runs(&gateway.gate);
    let browser = inside_at(&origin, "/dashboard", "alice");
    wait_for_dashboard(&browser);
    assert_inside(&browser, &origin);
}

fn sign_out() {
    let origin = world().gate.origin();
    let browser = inside("carol");
    browser.goto(&format!("{origin}/oauth2/sign_out"));
    browser.wait_text("Signed out");
    browser.click("a.first");
    browser.wait("Keycloak's form", |browser| browser.has("#kc-form-login"));
    browser.log_in("carol");
    browser.wait("back at Prefect", |browser| browser.url().starts_with(&origin));
}

/// A page of another site that tries to write, by script and by form.
fn evil(origin: &str) -> u16 {
    let page = format!(
        "<!doctype html><title>trying</title><iframe name=f></iframe>\
         <form method=post target=f enctype=text/plain action='{origin}/api/variables/'>\
         <input name='{{\"name\":\"evil_form\",\"value\":\"' value='\"}}'></form>\
         <form id=top method=post enctype=text/plain action='{origin}/api/variables/'>\
         <input name='{{\"name\":\"evil_top\",\"value\":\"' value='\"}}'></form><script>\
         const post = (mode) => fetch('{origin}/api/variables/', {{method: 'POST', mode, \
         credentials: 'include', body: JSON.stringify({{name: 'evil_' + mode.replace('-', '_'), value: 1}})}})\
         .then(() => 1, () => 0);\
         document.forms[0].submit();\
         Promise.all([post('no-cors'), post('cors')]).then(() => {{ document.title = 'tried' }});\
         </script>"
    );
    tcp_server::serve(move |mut stream| {
        let _request = stream.read(&mut [0; 4096]);
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            page.len()
        );
        let _gone = stream.write_all(format!("{head}{page}").as_bytes());
    })
}

fn other_site() {
    let origin = world().gate.origin();
    let port = evil(&origin);
    some_runs(&world().gate);
    let browser = inside("alice");
    browser.goto("about:blank");
    wait_for_quiet(world().admin);
    prefect_sees_nothing(world().admin, || {
        browser.goto(&format!("http://evil.localhost:{port}/"));
        browser.wait("the attempts are over", |browser| {
            browser.script("return document.title") == "tried"
        });
    });
    browser.script("document.getElementById('top').submit()");
    browser.wait("the form has gone", |browser| browser.url().starts_with(&origin));
    let key = basic(&world().stack.machine.auth_string);
    let listed = world()
        .gate
        .send(&Request::post("/api/variables/filter", "{}").header("authorization", key));
    assert!(!listed.expect(200).text().contains("evil"), "something was written");
    // The session itself is still there: it was the site that was refused.
    browser.goto(&format!("{origin}/v2/dashboard"));
    wait_for_dashboard(&browser);
}
