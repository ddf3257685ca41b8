//! Users of an htpasswd file, as Apache's own program writes it.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Story, story};
use crate::canary;
use crate::client::Request;
use crate::clock::pause;
use crate::gateway::{Gateway, Plan};
use crate::keycloak_admin::basic;
use crate::prefect_client::{Client, newest};
use crate::sockets::{End, Socket, auth, upgrade};
use crate::world::{checkout, say};

const ABOUT: &str = "htpasswd";
const PATIENCE: Duration = Duration::from_secs(20);
/// A user and the password.
pub const PAIR: &str = "reports:correct horse battery staple";
/// The options for bcrypt, of the greatest cost that is accepted.
const SLOWEST: &[&str] = &["-B", "-C", "10"];

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "its users go on with Prefect's client and sockets", users).apart(),
        story(ABOUT, "lines of other kinds are refused with what to do", other_lines).apart(),
        // It measures times.
        story(ABOUT, "guesses slow nobody down", guesses).apart().alone(),
    ]
}

/// The line that `htpasswd` writes for `name:password`.
pub fn line(pair: &str, options: &[&str]) -> String {
    let (name, password) = pair.split_once(':').unwrap();
    canary::plant(password);
    let mut command = Command::new("htpasswd");
    let output = command.arg("-nb").args(options).args([name, password]).output();
    let output = output.expect("htpasswd is not there (make setup)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let line = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    canary::plant(line.split_once(':').unwrap().1);
    line
}

/// The setting `machines.htpasswd` with these lines.
pub fn entries(lines: &[String]) -> Value {
    let entry = |line| json!({ "line": line, "role": "worker", "expires": "2099-01-01T00:00:00Z" });
    lines.iter().map(entry).collect()
}

fn gateway(name: &'static str, lines: &[String]) -> Gateway {
    Plan::new(name).patch(json!({ "machines": { "htpasswd": entries(lines) } })).start()
}

fn version(gateway: &Gateway, pair: &str) -> Request {
    let request = Request::get("/api/admin/version").host(gateway.gate.machine_host());
    request.header("authorization", basic(pair))
}

fn users() {
    // As `htpasswd -B` does without a cost.
    let gateway = gateway("htpasswd", &[line(PAIR, &["-B"])]);
    let gate = &gateway.gate;
    gate.send(&version(&gateway, PAIR)).expect(200);
    let wrong = gate.send(&version(&gateway, "reports:wrong")).expect(401);
    assert_eq!(wrong.code(), "wrong_password");

    let mut setup = newest().with(PAIR);
    setup.api_url = format!("https://{}/api", gate.machine_host());
    let flow = checkout().join("integration/flows/hello.py");
    Client::new("htpasswd", setup).python(&[&flow.to_string_lossy()]).expect_success();

    let mut socket = Socket::opened(gate, &upgrade("/api/events/in"));
    socket.send_text(&auth(PAIR));
    assert!(socket.next(PATIENCE).unwrap().text().contains("auth_success"));
    let mut stranger = Socket::opened(gate, &upgrade("/api/events/in"));
    stranger.send_text(&auth("reports:wrong"));
    assert_eq!(stranger.end(PATIENCE), End::Close(1008));

    let log = fs::read_to_string(gateway.layout.log("envoy")).unwrap();
    assert!(
        log.contains("machines.htpasswd accepts passwords, which can be guessed (entries: 1)"),
        "no warning: {log}"
    );
    let counted = "wasmcustom.lictor_requests.outcome=forwarded.method=htpasswd.reason=ok";
    assert!(gateway.admin.counter(counted) > 0, "{counted}");
    gateway.admin.assert_vm_alive();
}

fn other_lines() {
    for (options, found) in [
        (["-s"].as_slice(), "SHA-1"),
        (&["-m"], "MD5"),
        (&["-d"], "crypt"),
        (&["-p"], "a password itself"),
        (&["-B", "-C", "11"], "a cost of 11"),
    ] {
        let line = line("reports:planted-8", options);
        let plan = Plan::new("htpasswd-lines")
            .patch(json!({ "machines": { "htpasswd": entries(&[line]) } }));
        let (is_accepted, said) = plan.validate(|text| text);
        assert!(!is_accepted, "{options:?}");
        assert!(said.contains("machines.htpasswd[0].line: found "), "{options:?}: {said}");
        assert!(said.contains(found) && said.contains("htpasswd -nB"), "{options:?}: {said}");
    }
}

/// Guesses from many addresses. The time of a known user's request is what it was.
fn guesses() {
    const LATER: &str = "later:nobody has shown this one yet";
    let gateway = gateway("htpasswd-guesses", &[line(PAIR, SLOWEST), line(LATER, SLOWEST)]);
    let gate = &gateway.gate;
    let timed = |request: &Request, status: u16| {
        let begun = Instant::now();
        gate.send(request).expect(status);
        begun.elapsed()
    };
    let known = version(&gateway, PAIR);
    // Each worker verifies it once.
    let first = timed(&known, 200);
    (0..40).for_each(|_| drop(gate.send(&known).expect(200)));
    let again = (0..20).map(|_| timed(&known, 200)).min().unwrap();
    say(&format!("a password of cost 10: {first:?} the first time, {again:?} once it is known"));
    assert!(first > again, "{first:?} and {again:?}");

    let begun = Instant::now();
    let (mut checked, mut busy, mut slowest) = (0_u64, 0, Duration::ZERO);
    let mut number = 0;
    while begun.elapsed() < Duration::from_secs(10) {
        number += 1;
        let guess = version(&gateway, &format!("reports:guess-{number}"));
        let answer = gate.from(10 + (number % 200) as u8).send(&guess);
        match answer.status {
            401 => checked += 1,
            503 => busy += 1,
            other => panic!("{other}: {}", answer.text()),
        }
        slowest = slowest.max(timed(&known, 200));
    }
    let seconds = begun.elapsed().as_secs() + 1;
    say(&format!("{checked} guesses were checked in {seconds} s, {busy} were refused unchecked"));
    // Two workers, each with a burst of sixteen and one more a second.
    assert!(checked <= 2 * (16 + seconds), "{checked} in {seconds} s");
    assert!(busy > checked, "{busy} and {checked}");
    assert!(slowest < Duration::from_secs(2), "a known user waited for {slowest:?}");
    // Afterwards, somebody comes whom no worker knows yet.
    pause(Duration::from_secs(5));
    gate.from(9).send(&version(&gateway, LATER)).expect(200);
    gateway.admin.assert_vm_alive();
}
