//! The issuer's keys, from a provider that misbehaves: what one worker fetched all have, a flood
//! causes no flood, and what can't be used changes nothing.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Story, story};
use crate::clock::pause;
use crate::recorder::Recorder;
use crate::scripted_idp::{CERTS, METADATA, Manner, ScriptedGateway, ScriptedIdp, now};
use crate::world::eventually;

const ABOUT: &str = "keys";

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "a process fetches metadata and keys once, whatever its workers", once),
        story(ABOUT, "after a rotation no request fails", rotation),
        story(ABOUT, "a flood of unknown keys causes one fetch in ten seconds", flood).heavy(),
        story(ABOUT, "answers that can't be used leave the last good keys", unusable).early(),
        story(ABOUT, "a provider that stalls costs a bounded wait", stall),
        story(ABOUT, "a provider that comes late is found within two seconds", late),
    ]
}

fn scripted(name: &'static str) -> ScriptedGateway {
    ScriptedGateway::start(name, &Value::Null)
}

fn once() {
    let ScriptedGateway { idp, gateway, .. } = scripted("once");
    // Connections are spread over both workers.
    for _ in 0..40 {
        gateway.gate.version_by(&idp.worker_token()).expect(200);
    }
    assert_eq!((idp.asked(METADATA), idp.asked(CERTS)), (1, 1));
    gateway.admin.assert_vm_alive();
}

fn rotation() {
    let ScriptedGateway { idp, gateway, .. } = scripted("rotated");
    let old = idp.worker_token();
    idp.script().rotate("second");
    let new = idp.worker_token();
    for _ in 0..20 {
        gateway.gate.version_by(&new).expect(200);
        gateway.gate.version_by(&old).expect(200);
    }
    assert_eq!(idp.asked(CERTS), 2);
}

fn flood() {
    let ScriptedGateway { idp, recorder, gateway } = scripted("flood");
    recorder.take();
    let forged = {
        let script = idp.script();
        let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": "nobody's" });
        script.sign_with(&header, &script.machine_claims(now()))
    };
    let began = Instant::now();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (gate, forged) = (gateway.gate.clone(), forged.clone());
            thread::spawn(move || {
                let mut verdicts = Vec::new();
                while began.elapsed() < Duration::from_secs(12) {
                    verdicts.push(gate.version_by(&forged).status);
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
    gateway.gate.version_by(&idp.worker_token()).expect(200);
    let reached = recorder.take().heads.len();
    assert_eq!(reached, 1, "something of the flood reached Prefect");
}

/// F-5, F-6, F-7, F-10.
fn unusable() {
    let ScriptedGateway { idp, gateway, .. } = scripted("unusable");
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
            gateway.gate.version_by(&idp.worker_token()).expect(503);
            gateway.gate.version_by(&old).expect(200);
            (idp.asked(CERTS) > before).then_some(())
        });
    }
    idp.behave(CERTS, None);
    eventually("the new keys count", Duration::from_secs(13), || {
        gateway.gate.version_by(&old).expect(200);
        (gateway.gate.version_by(&idp.worker_token()).status == 200).then_some(())
    });
    gateway.admin.assert_vm_alive();
}

/// F-4: five seconds are a call's limit.
fn stall() {
    let ScriptedGateway { idp, gateway, .. } = scripted("stall");
    idp.behave(CERTS, Some(Manner::Late(Duration::from_secs(20))));
    idp.script().rotate("late");
    let began = Instant::now();
    let answer = gateway.gate.version_by(&idp.worker_token()).expect(503);
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
    let gateway = ScriptedGateway::plan("late", &idp, &recorder, &Value::Null).start_unready();
    gateway.wait_live();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(3) {
        let answer = gateway.gate.version_by(&idp.worker_token()).expect(503);
        assert!(answer.has("retry-after"));
        pause(Duration::from_millis(100));
    }
    assert!(idp.asked(METADATA) <= 5, "{} calls in 3 s by a whole process", idp.asked(METADATA));
    assert_eq!(recorder.take().heads.len(), 0);
    for path in [METADATA, CERTS] {
        idp.behave(path, None);
    }
    eventually("it recovers", Duration::from_secs(2), || {
        (gateway.gate.version_by(&idp.worker_token()).status == 200).then_some(())
    });
}
