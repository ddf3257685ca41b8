//! The session of a browser, from its first recheck to its end.

mod backchannel_logout;
mod cookie_pieces;
mod crowded_records;
mod grace;
mod lifetime;
mod malformed_cookies;
mod refresh;
mod refresh_answers;
mod shared_refreshes;
mod sign_out;

use crate::Gate;
use crate::testing::World;

const TOKEN: &str = "/realms/prefect/token";

/// The cookies that are set with Prefect's answer.
fn cookies_set(world: &mut World, gate: &mut Gate) -> Vec<String> {
    let edit = world.answer(gate, "200");
    let cookies = edit.add.into_iter().filter(|(name, _)| *name == "set-cookie");
    cookies.map(|(_, value)| String::from_utf8(value).unwrap()).collect()
}

fn pass(worlds: [&mut World; 2], seconds: u64) {
    for world in worlds {
        world.pass(seconds);
        world.work();
    }
}
