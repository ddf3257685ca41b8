//! The built module against a host whose calls fail, each in turn, at each step of each story:
//! nothing is forwarded then that would not be forwarded otherwise.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod browser;
mod cost;
mod failing;
mod faults;
mod frame;
mod imports;
mod password_time;
mod provider;
mod stories;
mod tolerated;
mod verdict;
mod world;

use lictor_host::HostCall;
use stories::{answers, bodies, browsers, endpoints, machines, sockets, workers};

/// The stories begin at forks of one worker; told from the beginning they are the same.
#[test]
fn a_fork_goes_on_like_its_origin() {
    let settings = world::configuration();
    let mut ends = Vec::new();
    let origin = world::World::configured(&settings.to_string());
    for mut world in [world::World::ready(None), origin] {
        world.prepared();
        let mut browser = browser::Browser::default();
        browser.log_in(&mut world, "/").expect("a login");
        // A signature's length varies by a byte or two.
        let made = |call: &HostCall| (call.entry, call.name, call.subject.clone(), call.status);
        let calls = world.vm.record().iter().skip(world.prepared_calls).map(made);
        ends.push((browser.cookies.len(), calls.collect::<Vec<_>>(), world.vm.counters().to_vec()));
    }
    assert!(ends[0].1.len() > 50);
    assert_eq!(ends[0], ends[1]);
}

#[test]
fn browsers_are_refused_when_a_host_call_fails() {
    failing::tell(browsers::STORIES);
}

#[test]
fn machines_are_refused_when_a_host_call_fails() {
    failing::tell(machines::STORIES);
}

#[test]
fn sockets_are_refused_when_a_host_call_fails() {
    failing::tell(sockets::STORIES);
}

#[test]
fn bodies_are_not_let_go_when_a_host_call_fails() {
    failing::tell(bodies::STORIES);
}

#[test]
fn endpoints_say_no_when_a_host_call_fails() {
    failing::tell(endpoints::STORIES);
}

#[test]
fn answers_hide_what_they_should_when_a_host_call_fails() {
    failing::tell(answers::STORIES);
}

#[test]
fn requests_do_not_hang_when_a_host_call_fails() {
    failing::tell(workers::STORIES);
}
