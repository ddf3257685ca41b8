//! What the gate costs a person: Prefect's dashboard with it and without, in one browser, in turn.

use super::in_the_browser::inside_at;
use super::{Story, story};
use crate::browser::Browser;
use crate::gateway::Plan;
use crate::keycloak_admin::allow_callback;
use crate::prefect_client::server_with;
use crate::sample_data::SampleData;
use crate::world::{say, world};

const ABOUT: &str = "dashboard";
const ROUNDS: usize = 10;
/// How much longer it may take through the gate.
const FACTOR: f64 = 1.10;
/// Measurements before it counts as slower: other work on the machine comes and goes.
const TRIES: usize = 3;

pub fn stories() -> Vec<Story> {
    vec![story(ABOUT, "it loads through the gate in at most 1.10 of the time", load)]
}

/// Milliseconds from the navigation to the end of the last answer of the first burst of requests.
fn burst(browser: &Browser, address: &str) -> f64 {
    browser.goto("about:blank");
    browser.goto(address);
    browser.wait_text("Active Work Pools");
    let script = "
        const all = performance.getEntriesByType('resource').map((e) => [e.startTime, e.responseEnd]).sort((a, b) => a[0] - b[0]);
        let end = performance.getEntriesByType('navigation')[0].responseEnd;
        for (const [start, done] of all) { if (start > end + 400) break; end = Math.max(end, done); }
        return {end, quiet: performance.now() - end, count: all.length};";
    let mut last = 0.0;
    browser.wait("the end of the burst", |browser| {
        let seen = browser.script(script);
        last = seen["end"].as_f64().unwrap_or_default();
        seen["quiet"].as_f64().is_some_and(|quiet| quiet > 600.0)
    });
    last
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2].midpoint(times[(times.len() - 1) / 2])
}

fn load() {
    let port = server_with("prefect-dashboard", &[("PREFECT_UI_API_URL", "/api")], "/api").port;
    SampleData::make(port);
    let gateway = Plan::new("dashboard").prefect(port).start();
    let gated = gateway.gate.origin();
    allow_callback(&gated);
    let direct = format!("http://127.0.0.1:{port}");
    let browser = inside_at(&gated, "/v2/dashboard", "alice");
    browser.goto(&format!("{direct}/v2/dashboard"));
    let secret = &world().secrets.prefect_auth_string;
    browser.script(&format!("localStorage.setItem('prefect-password', btoa('{secret}'))"));
    let (direct, gated) = (format!("{direct}/v2/dashboard"), format!("{gated}/v2/dashboard"));
    browser.without_cache();
    for address in [&direct, &gated] {
        burst(&browser, address);
    }
    let mut ratios = Vec::new();
    for _ in 0..TRIES {
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            without.push(burst(&browser, &direct));
            with.push(burst(&browser, &gated));
        }
        let (without, with) = (median(without), median(with));
        say(&format!("dashboard: {without:.0} ms direct, {with:.0} ms gated, medians of {ROUNDS}"));
        ratios.push(with / without);
        if with <= without * FACTOR {
            return;
        }
    }
    panic!("slower through the gate, each time: {ratios:?}");
}
