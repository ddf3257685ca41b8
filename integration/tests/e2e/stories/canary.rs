//! No secret stands in any log.

use std::fs;
use std::time::Duration;

use super::{Story, story};
use crate::canary::Planted;
use crate::client::Request;
use crate::world::{eventually, layouts, world};

pub fn stories() -> Vec<Story> {
    vec![story("logs", "hold none of the secrets that any test has used", clean)]
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
