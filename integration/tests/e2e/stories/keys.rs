//! The issuer's keys, from a provider that misbehaves: what one worker fetched all have, a flood
//! causes no flood, and what can't be used changes nothing.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Story, story};
use crate::client::{Gate, Request};
use crate::clock::pause;
use crate::http1::Answer;
use crate::lane::{Lane, Plan};
use crate::recorder::Recorder;
use crate::scripted_idp::{CERTS, METADATA, Manner, ScriptedIdp, now};
use crate::world::eventually;

const ABOUT: &str = "keys";

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "a process fetches metadata and keys once, whatever its workers", once),
        story(ABOUT, "after a rotation no request fails", rotation),
        story(ABOUT, "a flood of unknown keys causes one fetch in ten seconds", flood),
        story(ABOUT, "answers that can't be used leave the last good keys", unusable),
        story(ABOUT, "a provider that stalls costs a bounded wait", stall),
        story(ABOUT, "a provider that comes late is found within two seconds", late),
    ]
}

struct Scripted {
    idp: ScriptedIdp,
    recorder: Recorder,
    lane: Lane,
}

fn plan(name: &'static str, idp: &ScriptedIdp, recorder: &Recorder) -> Plan {
    Plan::new(name).keycloak(idp.port).prefect(recorder.port).workers(2).patch(idp.settings())
}

fn scripted(name: &'static str) -> Scripted {
    let (idp, recorder) = (ScriptedIdp::start(), Recorder::start());
    let lane = plan(name, &idp, &recorder).start();
    Scripted { idp, recorder, lane }
}

fn ask(gate: &Gate, token: &str) -> Answer {
    let request =
        Request::get("/api/admin/version").header("authorization", format!("Bearer {token}"));
    gate.send(&request)
}

fn once() {
    let Scripted { idp, lane, .. } = scripted("once");
    // Connections are spread over both workers.
    for _ in 0..40 {
        ask(&lane.gate, &idp.worker_token()).expect(200);
    }
    assert_eq!((idp.asked(METADATA), idp.asked(CERTS)), (1, 1));
    lane.admin.assert_vm_alive();
}

fn rotation() {
    let Scripted { idp, lane, .. } = scripted("rotated");
    let old = idp.worker_token();
    idp.script().rotate("second");
    let new = idp.worker_token();
    for _ in 0..20 {
        ask(&lane.gate, &new).expect(200);
        ask(&lane.gate, &old).expect(200);
    }
    assert_eq!(idp.asked(CERTS), 2);
}

fn flood() {
    let Scripted { idp, recorder, lane } = scripted("flood");
    recorder.take();
    let forged = {
        let script = idp.script();
        let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": "nobody's" });
        script.sign_with(&header, &script.machine_claims(now()))
    };
    let began = Instant::now();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (gate, forged) = (lane.gate.clone(), forged.clone());
            thread::spawn(move || {
                let mut verdicts = Vec::new();
                while began.elapsed() < Duration::from_secs(12) {
                    verdicts.push(ask(&gate, &forged).status);
                }
                verdicts
            })
        })
        .collect();
    let verdicts: Vec<u16> = threads.into_iter().flat_map(|t| t.join().unwrap()).collect();
    let fetches = idp.asked(CERTS) - 1;
    assert!(verdicts.len() > 500, "only {} requests", verdicts.len());
    assert!(verdicts.iter().all(|status| matches!(status, 401 | 503)));
    assert!((1..=2).contains(&fetches), "{fetches} fetches in 12 s");
    // Meanwhile and afterwards the good ones are served.
    ask(&lane.gate, &idp.worker_token()).expect(200);
    let reached = recorder.take().heads.len();
    assert_eq!(reached, 1, "something of the flood reached Prefect");
}

/// F-5, F-6, F-7, F-10.
fn unusable() {
    let Scripted { idp, lane, .. } = scripted("unusable");
    let json = "application/json";
    let encryption = br#"{"keys":[{"kty":"RSA","use":"enc","n":"AQAB","e":"AQAB"}]}"#;
    let manners = [
        Manner::Cut,
        Manner::Gzip,
        Manner::Status("500 Oh"),
        Manner::Status("429 Slowly"),
        Manner::Status("404 Where"),
        Manner::Status("301 Elsewhere\r\nlocation: http://127.0.0.1:1/"),
        Manner::Status("204 Nothing"),
        Manner::Instead("text/html", b"<html><form>Sign in</form></html>".to_vec()),
        Manner::Instead(json, Vec::new()),
        Manner::Instead(json, b"{\"keys\":[{".to_vec()),
        Manner::Instead(json, b"\xef\xbb\xbf{\"keys\":[]}".to_vec()),
        Manner::Instead(json, b"{\"keys\":[],\"keys\":[]}".to_vec()),
        Manner::Instead(json, encryption.to_vec()),
        Manner::Instead(json, vec![b' '; 10 * 1024 * 1024]),
    ];
    let old = idp.worker_token();
    let mut kid = 0;
    for manner in manners {
        idp.behave(CERTS, Some(manner));
        kid += 1;
        idp.script().rotate(&format!("unpublished-{kid}"));
        // The unknown key asks for a fetch, whose answer is of no use: never a false 401.
        let before = idp.asked(CERTS);
        eventually("a fetch", Duration::from_secs(13), || {
            ask(&lane.gate, &idp.worker_token()).expect(503);
            ask(&lane.gate, &old).expect(200);
            (idp.asked(CERTS) > before).then_some(())
        });
    }
    idp.behave(CERTS, None);
    eventually("the new keys count", Duration::from_secs(13), || {
        ask(&lane.gate, &old).expect(200);
        (ask(&lane.gate, &idp.worker_token()).status == 200).then_some(())
    });
    lane.admin.assert_vm_alive();
}

/// F-4: five seconds are a call's limit.
fn stall() {
    let Scripted { idp, lane, .. } = scripted("stall");
    idp.behave(CERTS, Some(Manner::Late(Duration::from_secs(20))));
    idp.script().rotate("late");
    let began = Instant::now();
    let answer = ask(&lane.gate, &idp.worker_token()).expect(503);
    let waited = began.elapsed();
    assert!(answer.has("retry-after"));
    assert!(waited < Duration::from_millis(6500), "{waited:?}");
    assert!(waited > Duration::from_secs(3), "it did not wait for the key: {waited:?}");
}

/// F-1: API keys serve meanwhile, and nobody restarts anything.
fn late() {
    let (idp, recorder) = (ScriptedIdp::start(), Recorder::start());
    for path in [METADATA, CERTS] {
        idp.behave(path, Some(Manner::Status("503 Later")));
    }
    let lane = plan("late", &idp, &recorder).start_unready();
    lane.wait_live();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(3) {
        let answer = ask(&lane.gate, &idp.worker_token()).expect(503);
        assert!(answer.has("retry-after"));
        pause(Duration::from_millis(100));
    }
    assert!(idp.asked(METADATA) <= 5, "{} calls in 3 s by a whole process", idp.asked(METADATA));
    assert_eq!(recorder.take().heads.len(), 0);
    for path in [METADATA, CERTS] {
        idp.behave(path, None);
    }
    eventually("it recovers", Duration::from_secs(2), || {
        (ask(&lane.gate, &idp.worker_token()).status == 200).then_some(())
    });
}
