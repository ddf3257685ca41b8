//! What Prefect's own pages and programs have asked for, by the gate's access log: an oracle for
//! the roles that is not the table.

use std::collections::BTreeSet;
use std::env;
use std::fs;

use serde_json::Value;

use crate::gateway::Gateway;
use crate::world::{checkout, eventually, say};

/// Method and path of each request of a role's that went on to Prefect, identities and names of
/// this run apart. Written to the list that the core's tests read when `LICTOR_WRITE_TRAFFIC` is
/// set, beside what is there.
///
/// Gives how many different ones there were.
pub fn record(gateway: &Gateway, role: &str) -> usize {
    let log = gateway.layout.logs().join("access.log");
    // Envoy writes it a moment later.
    let text = eventually("the access log", std::time::Duration::from_secs(15), || {
        fs::read_to_string(&log).ok().filter(|text| text.contains(&format!("\"role\":\"{role}\"")))
    });
    let entries = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let own = entries.filter(|entry| entry["role"] == role && entry["decision"] == "forwarded");
    let asked: BTreeSet<String> = own
        .filter_map(|entry| {
            let path = entry["path"].as_str()?.strip_prefix("/api/")?;
            let path = path.split('/').map(plain).collect::<Vec<_>>().join("/");
            // Sockets are judged by another part of the table.
            let socket = entry["status"] == 101;
            let method = if socket { "SOCKET" } else { entry["method"].as_str()? };
            Some(format!("{method}\t/{path}"))
        })
        .collect();
    let count = asked.len();
    if env::var_os("LICTOR_WRITE_TRAFFIC").is_some() {
        let file = checkout().join(format!("filter/core/tests/data/prefect-traffic/{role}.tsv"));
        let known = fs::read_to_string(&file).unwrap_or_default();
        let all: BTreeSet<String> = known.lines().map(str::to_owned).chain(asked).collect();
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, all.into_iter().collect::<Vec<_>>().join("\n") + "\n").unwrap();
        say(&format!("wrote {}", file.display()));
    }
    count
}

/// A segment of a path; what names one thing of this run becomes the same for all runs.
fn plain(segment: &str) -> &str {
    let identity = segment.len() == 36 && segment.matches('-').count() == 4;
    // The tests' own names end with a version.
    let named = segment.contains('.');
    if identity || named { "1" } else { segment }
}
