//! Lictor between the real Envoy, Keycloak, Prefect and Chromium: what people, machines and
//! attackers get. `cargo test --test e2e -- [filter]`.
//!
//! | variable | meaning |
//! |---|---|
//! | `LICTOR_MODULE` | the module under test; default the release build in `target/` |
//! | `PREFECT` | version of the shared stack; default the newest prepared |
//! | `LICTOR_SCREENSHOTS=1` | pictures go to `docs/images`, not to a temporary folder |
//! | `LICTOR_WRITE_CLIENTS=1` | the story `clients.md` writes `docs/clients.md` |
//! | `LICTOR_WRITE_OPERATIONS=1` | the stories `roles: the list of …` write the lists of Prefect's operations |
//! | `LICTOR_WRITE_TRAFFIC=1` | what each role has asked for is added to the core's lists |
//! | `LICTOR_SOAK=1` | the story `soak` runs a hundred flow runs, not twelve |
//! | `LICTOR_AT_ONCE` | how many stories run at once |
//! | `LICTOR_TIMES` | a file for the time and its parts of every story |
//! | `LICTOR_KEEP=1` | folders with logs stay when the tests are over |

// A test fails by panicking; what it prints is for whoever runs it.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unreachable,
    reason = "this whole crate is tests"
)]

mod balancer;
mod browser;
mod canary;
mod client;
mod clock;
mod cookie_client;
mod foreign_site;
mod forge;
mod front_proxy;
mod gateway;
mod http1;
mod http2;
mod interruptible;
mod keycloak_admin;
mod keycloak_login;
mod keycloak_versions;
mod members;
mod oauth2_proxy;
mod oidc_provider;
mod prefect_client;
mod production;
mod recorder;
mod reload;
mod sample_data;
mod schedule;
mod scripted_idp;
mod sockets;
mod stories;
mod tcp_server;
mod traffic;
mod world;

use std::env;
use std::panic;
use std::process::{ExitCode, exit};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use libtest_mimic::Arguments;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let keep = env::var_os("LICTOR_KEEP").is_some();
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register(signal, Arc::clone(&interrupted)).unwrap();
    }
    thread::spawn(move || {
        while !interrupted.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(100));
        }
        world::say("interrupted: ending everything that was started");
        world::tear_down(keep);
        exit(130);
    });
    // One paragraph for a failure; where it was is what counts, not the way there.
    panic::set_hook(Box::new(|info| world::say(&format!("\n{}\n{info}", schedule::name()))));
    let conclusion = schedule::run(&arguments, stories::all());
    browser::close();
    world::tear_down(keep);
    conclusion.exit_code()
}
