//! Every state of a gate against every event: a written verdict for each pair (invariant I11), and
//! after a reply none that forwards (invariant I4).

mod scenes;

use std::collections::{BTreeMap, BTreeSet};

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::foundation::limits::LOGINS_IN_FLIGHT;
use crate::gate::decision::{DataStep, Decision, ResponseStep};
use crate::provider::callout::CalloutReply;
use crate::wire::http::request::{RequestView, ResponseView};
use crate::{Body, Gate, Interest};
use scenes::*;

/// The events, in the order of the verdicts in [`TABLE`].
const EVENTS: [&str; 9] = [
    "head",
    "wake",
    "callout",
    "request data",
    "request trailers",
    "data wake",
    "response",
    "response data",
    "response trailers",
];

impl Scene {
    /// What becomes of one event.
    fn event(&mut self, event: &str) -> String {
        let tokens = self.tokens();
        let view = RequestView { headers: &self.headers };
        let cx = &mut self.world.cx();
        let gate = &mut self.gate;
        let answer = [(":status", "200"), ("content-type", "application/json")]
            .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
        match event {
            "head" => decision(&gate.on_request(view, false, cx)),
            "wake" => decision(&gate.on_wake(view, cx)),
            "callout" => {
                let reply = CalloutReply::Answer { status: 200, encoded: false, body: &tokens };
                decision(&gate.on_callout(reply, view, cx))
            }
            "request data" => step(&gate.on_request_data(b"x", true, cx)),
            "request trailers" => step(&gate.on_request_trailers(cx)),
            "data wake" => step(&gate.on_data_wake(b"x", cx)),
            "response" => match gate.on_response(ResponseView { headers: &answer }, cx) {
                ResponseStep::Edit(_) => "edit".to_owned(),
                ResponseStep::Replace(reply) => format!("{}", reply.status),
            },
            "response data" => step(&gate.on_response_data(b"[]", true, cx)),
            "response trailers" => step(&gate.response_trailers()),
            other => panic!("{other}"),
        }
    }
}

fn decision(decision: &Decision) -> String {
    match decision {
        Decision::Forward { .. } => "forward".to_owned(),
        Decision::ForwardWithBody { .. } => "forward with body".to_owned(),
        Decision::ReadBody(_) => "read body".to_owned(),
        Decision::Reply(reply) => reply.status.to_string(),
        Decision::Await(_) => "await callout".to_owned(),
        Decision::AwaitSite => "await site".to_owned(),
    }
}

fn step(step: &DataStep) -> String {
    match step {
        DataStep::Pass => "pass".to_owned(),
        DataStep::Hold => "hold".to_owned(),
        DataStep::Replace(bytes) if bytes.is_empty() => "drop".to_owned(),
        DataStep::Replace(_) => "replace".to_owned(),
        DataStep::Reset => "reset".to_owned(),
        DataStep::Answer(reply) => reply.status.to_string(),
    }
}

fn asked(gate: &Gate) -> [&'static str; 3] {
    let interest = |body| match gate.interest(body) {
        Interest::None => "none",
        Interest::Time => "time",
        Interest::Bytes => "bytes",
        Interest::Whole => "whole",
    };
    let wake = match (gate.is_waiting(), gate.waits_with_data()) {
        (false, None) => "no",
        (true, None) => "by its head",
        (false, Some(_)) => "with its data",
        (true, Some(_)) => "both",
    };
    [interest(Body::Request), interest(Body::Response), wake]
}

/// A state, by its name in the gate, how a request comes to it, and the verdict on each event. Then
/// what the shell asks: how much the gate must see of the request body and of the response body,
/// and how the site wakes it. A body that the gate need not see passes.
type Row = (&'static str, fn() -> Scene, [&'static str; 9], [&'static str; 3]);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    ("New", new, ["forward", "503", "503", "hold", "hold", "hold", "edit", "pass", "pass"], ["time", "none", "no"]),
    ("Waiting", waiting, ["503", "forward", "503", "hold", "hold", "hold", "edit", "pass", "pass"], ["time", "none", "by its head"]),
    ("Login, code redeemed", redeeming, ["503", "503", "302", "hold", "hold", "hold", "edit", "pass", "pass"], ["time", "none", "no"]),
    ("Login, pushing its parameters", pushing, ["503", "503", "503", "hold", "hold", "hold", "edit", "pass", "pass"], ["time", "none", "no"]),
    ("Login, awaiting a key", awaiting_key, ["503", "503", "503", "hold", "hold", "hold", "edit", "pass", "pass"], ["time", "none", "by its head"]),
    ("Login, asking userinfo", asking_userinfo, ["503", "503", "302", "hold", "hold", "hold", "edit", "pass", "pass"], ["time", "none", "no"]),
    ("SignOut, at the provider", signing_out, ["503", "503", "200", "hold", "hold", "hold", "edit", "pass", "pass"], ["time", "none", "no"]),
    ("SignOut, asking for a hint", asking_for_hint, ["503", "503", "302", "hold", "hold", "hold", "edit", "pass", "pass"], ["time", "none", "no"]),
    ("SignOut, revoking", revoking, ["503", "503", "200", "hold", "hold", "hold", "edit", "pass", "pass"], ["time", "none", "no"]),
    ("EndpointBody", reading_logout, ["503", "408", "503", "400", "400", "hold", "edit", "pass", "pass"], ["whole", "none", "by its head"]),
    ("LogoutToken", logout_token, ["503", "503", "503", "hold", "hold", "hold", "edit", "pass", "pass"], ["time", "none", "by its head"]),
    ("EndpointBody", reading_token_request, ["503", "408", "503", "400", "400", "hold", "edit", "pass", "pass"], ["whole", "none", "by its head"]),
    ("AwaitingBody", awaiting_body, ["503", "408", "503", "403", "403", "hold", "503", "pass", "pass"], ["whole", "none", "by its head"]),
    ("Forwarded", forwarded, ["503", "503", "503", "pass", "pass", "hold", "edit", "pass", "pass"], ["none", "none", "no"]),
    ("Forwarded", masked, ["503", "503", "503", "pass", "pass", "hold", "edit", "replace", "reset"], ["none", "whole", "no"]),
    ("Socket, handshake", handshake, ["503", "503", "503", "reset", "reset", "reset", "edit", "pass", "pass"], ["bytes", "time", "no"]),
    ("Socket, authorized handshake", authorized_handshake, ["503", "503", "503", "reset", "reset", "reset", "edit", "pass", "pass"], ["bytes", "time", "no"]),
    ("Socket, asking the provider", socket_asking, ["503", "503", "503", "reset", "reset", "hold", "edit", "pass", "pass"], ["bytes", "time", "with its data"]),
    ("Socket, open without a credential", socket_open, ["503", "503", "503", "reset", "reset", "hold", "edit", "pass", "pass"], ["bytes", "time", "no"]),
    ("Socket, authorized by header", socket_header, ["503", "503", "503", "reset", "reset", "hold", "edit", "pass", "pass"], ["bytes", "time", "no"]),
    ("Socket, passing", socket_passing, ["503", "503", "503", "pass", "reset", "pass", "edit", "pass", "pass"], ["time", "time", "no"]),
    ("Socket, filter expected", socket_filtered, ["503", "503", "503", "drop", "reset", "drop", "edit", "pass", "pass"], ["bytes", "time", "no"]),
    ("Socket, closed", socket_closed, ["503", "503", "503", "drop", "reset", "drop", "edit", "pass", "pass"], ["time", "time", "no"]),
    ("Socket, closed", socket_refused, ["503", "503", "503", "drop", "reset", "drop", "edit", "pass", "pass"], ["time", "time", "no"]),
    ("Delayed", delayed, ["503", "503", "503", "hold", "hold", "hold", "edit", "pass", "pass"], ["time", "none", "no"]),
    ("Over", over, ["503", "503", "503", "hold", "hold", "hold", "edit", "pass", "pass"], ["time", "none", "no"]),
    ("Over", refusing, ["503", "503", "503", "hold", "hold", "hold", "edit", "pass", "pass"], ["time", "none", "no"]),
];

/// A place for a login or a sign-out is given back once, whatever comes.
#[test]
fn no_event_loses_a_login_place() {
    for (state, scene, ..) in TABLE {
        for event in EVENTS {
            let Scene { mut gate, mut world, .. } = {
                let mut scene = scene();
                // Some other login holds a place meanwhile.
                assert!(scene.world.site.take_login_slot());
                let _ = scene.event(event);
                scene
            };
            gate.finish(&mut world.site);
            let free = core::iter::from_fn(|| world.site.take_login_slot().then_some(())).count();
            assert_eq!(free, LOGINS_IN_FLIGHT - 1, "{state}, {event}");
        }
    }
}

#[test]
fn every_pair_of_state_and_event_has_a_verdict() {
    let rows: BTreeSet<&str> = TABLE.iter().map(|(state, ..)| *state).collect();
    assert_eq!(rows, Gate::state_names().collect::<BTreeSet<_>>());
    let mut wrong = Vec::new();
    for (state, scene, verdicts, answers) in TABLE {
        assert_eq!(scene().gate.state_name(), *state);
        for (event, wanted) in EVENTS.iter().zip(verdicts) {
            let seen = scene().event(event);
            if seen != *wanted {
                wrong.push(format!("{state}, {event}: {seen}, not {wanted}"));
            }
        }
        let seen = asked(&scene().gate);
        if seen != *answers {
            wrong.push(format!("{state}, asked: {seen:?}, not {answers:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The cells of the table in docs/phases.md: for each state, the answers to the events in the order
/// of [`EVENTS`]. The columns are in the same order.
fn documented() -> BTreeMap<&'static str, Vec<&'static str>> {
    let (_, table) =
        include_str!("../../../../docs/phases.md").split_once("## States and events").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `")).map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let state = cells.next().unwrap().trim_matches('`');
        (state, cells.take(EVENTS.len()).collect())
    });
    // The first row names the columns.
    rows.filter(|(state, _)| *state != "state").collect()
}

/// The answer of which a verdict is one, in the words of the documentation.
fn kind(event: &str, verdict: &str) -> &'static str {
    let reply = match event {
        "head" | "wake" | "callout" => "Reply",
        "response" => "Replace",
        _ => "Answer",
    };
    match verdict {
        "forward" => "Forward",
        "forward with body" => "ForwardWithBody",
        "read body" => "ReadBody",
        "await callout" => "Await",
        "await site" => "AwaitSite",
        "pass" => "Pass",
        "hold" => "Hold",
        "drop" | "replace" => "Replace",
        "reset" => "Reset",
        "edit" => "Edit",
        status => status.parse::<u16>().map(|_| reply).unwrap(),
    }
}

fn is_delivered(event: &str, gate: &Gate) -> bool {
    match event {
        "head" => gate.state_name() == "New",
        "wake" => gate.is_waiting(),
        "request data" => gate.interest(Body::Request) != Interest::None,
        "data wake" => gate.waits_with_data().is_some(),
        "response" => gate.is_forwarded(),
        "response data" => gate.interest(Body::Response) != Interest::None,
        _ => true,
    }
}

#[test]
fn the_documented_table_is_that_of_the_gate() {
    let documented = documented();
    assert_eq!(
        documented.keys().copied().collect::<BTreeSet<_>>(),
        Gate::state_names().collect::<BTreeSet<_>>()
    );
    let mut wrong = Vec::new();
    for (state, _, verdicts, _) in TABLE {
        for ((event, verdict), cell) in EVENTS.iter().zip(verdicts).zip(&documented[state]) {
            let kind = kind(event, verdict);
            let listed = match *cell {
                cell if cell.starts_with("any `Decision`") => !cell.contains(kind),
                cell if cell.starts_with("Refuse") => *verdict == "503",
                cell => cell.contains(&format!("`{kind}`")),
            };
            // A masked response is a row of its own here, and one with "Forwarded" there.
            let delivered = TABLE
                .iter()
                .filter(|(other, ..)| other == state)
                .any(|(_, scene, ..)| is_delivered(event, &scene().gate));
            if !listed || cell.contains('†') == delivered {
                wrong.push(format!("{state}, {event}: {verdict}, documented {cell}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether a verdict lets something of the client's go to Prefect.
fn goes_on(event: &str, verdict: &str) -> bool {
    let of_client = !event.starts_with("response");
    of_client
        && matches!(verdict, "forward" | "forward with body" | "read body" | "pass" | "replace")
}

#[test]
fn after_a_reply_nothing_is_forwarded() {
    let mut replies = 0;
    for (state, scene, ..) in TABLE {
        for first in EVENTS {
            let mut answered = scene();
            let verdict = answered.event(first);
            let replied = verdict.parse::<u16>().is_ok();
            if !replied {
                continue;
            }
            replies += 1;
            for second in EVENTS {
                let mut after = scene();
                assert_eq!(after.event(first), verdict);
                let next = after.event(second);
                assert!(!goes_on(second, &next), "{state}, {first}, {second}: {next}");
            }
        }
    }
    assert!(replies > 50, "{replies}");
}
