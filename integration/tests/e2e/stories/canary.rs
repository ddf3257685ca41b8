//! What stands in the logs of a whole run: no secret, and no error of Prefect's.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::{Story, story};
use crate::canary::Planted;
use crate::client::Request;
use crate::world::{eventually, layouts, world};

pub fn stories() -> Vec<Story> {
    vec![
        story("logs", "hold none of the secrets that any test has used", clean),
        story("logs", "of Prefect hold no error", errors),
    ]
}

/// Prefect's services fail without a word to anybody: a scheduler that starts no run, for example.
fn errors() {
    // Alone, this story starts the stack.
    let (_, mut read) = (world(), 0);
    for layout in layouts() {
        let logs = fs::read_dir(layout.logs()).into_iter().flatten().flatten();
        let of_prefect = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("prefect"))
        };
        for path in logs.map(|log| log.path()).filter(of_prefect) {
            let text = fs::read_to_string(&path).unwrap();
            read += text.len();
            // A story takes a table of this Prefect away.
            let is_meant = |record: &str| {
                path.to_string_lossy().contains("-prefect-errors/")
                    && record.contains("no such table: variable")
            };
            let failed: Vec<_> =
                records(&text).into_iter().filter(|one| is_error(one) && !is_meant(one)).collect();
            assert!(failed.is_empty(), "{}:\n{}", path.display(), failed.join("\n"));
        }
    }
    assert!(read > 100, "no logs were read");
    let planted =
        "12:00:00.000 | INFO    | prefect - a\n12:00:00.001 | ERROR   | prefect - b\nTrace";
    assert_eq!(records(planted).into_iter().filter(|one| is_error(one)).count(), 1);
}

/// The records of a log, each with the lines that follow it.
fn records(log: &str) -> Vec<String> {
    let mut records: Vec<String> = Vec::new();
    for line in log.lines() {
        match records.last_mut().filter(|_| !line.contains(" | ")) {
            Some(record) => record.extend(["\n", line]),
            None => records.push(line.to_owned()),
        }
    }
    records
}

/// Returns whether a record is about an error that nobody expects.
fn is_error(record: &str) -> bool {
    let is_loud = record.contains(" | ERROR ") || record.contains(" | CRITICAL ");
    // SQLite is busy when many write at once; Prefect and its clients try again.
    let is_busy = record.contains("database is locked");
    // Prefect has closed a worker's channel, or could not send on it, and its reader reads once more.
    let is_late_reader = record.contains("coro=<WorkerChannelConnection._receive_loop()")
        && record.contains("WebSocketDisconnected");
    is_loud && !is_busy && !is_late_reader
}

fn clean() {
    let main = &world().layout;
    // What was written before this request is in the file once it is.
    let mark = format!("/oauth2/mark-{}", std::process::id());
    world().gate.send(&Request::get(&mark)).expect(404);
    eventually("the access log is written", Duration::from_secs(10), || {
        fs::read_to_string(main.log("access")).ok().filter(|log| log.contains(&mark))
    });
    let secrets = Planted::all();
    assert!(secrets.len() >= 6, "nothing was planted");
    let planted = world().secrets.api_key.as_bytes();
    let sample = [b"a line with ".as_slice(), planted, b" in it"].concat();
    assert!(secrets.found_in(&sample).is_some(), "the search finds nothing");
    let mut read = 0;
    for layout in layouts() {
        for part in ["envoy", "access", "envoy-validate"] {
            let Ok(bytes) = fs::read(layout.log(part)) else { continue };
            read += bytes.len();
            // The secret itself is not shown here either.
            if let Some(secret) = secrets.found_in(&bytes) {
                panic!(
                    "{}: {}… ({} bytes) is in it",
                    layout.log(part).display(),
                    &secret[..6],
                    secret.len()
                );
            }
        }
    }
    assert!(read > 10_000, "no logs were read");
}
