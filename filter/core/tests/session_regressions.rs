//! Sessions: faults that a review found, each as it could be met.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use core::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::answer::reply::Reply;
use crate::foundation::id::{Id as _, TombstoneId};
use crate::foundation::time::UnixTime;
use crate::gate::decision::DataStep;
use crate::login::backchannel::Logout;
use crate::provider::callout::{Callout, CalloutReply};
use crate::site::SiteCall;
use crate::testing::browser::{Browser, SCRIPT};
use crate::testing::idp::Mood;
use crate::testing::store::MemoryStore;
use crate::testing::{
    Headers, Outcome, World, compile, configuration, edited, host, reply_of, request,
};
use crate::wire::http::query::encode;
use crate::wire::http::request::ResponseView;
use crate::workers::tombstones::{Tombstones, tombstone_of};
use crate::workers::{SharedStore, Stored, Written};
use crate::{Gate, Site};
use serde_json::{Value, json};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
const TOKEN: &str = "/realms/prefect/token";

fn settings() -> Value {
    let mut settings = configuration();
    settings["prefect"] = json!({"buffered_routes": true});
    settings
}
fn worker(store: &Rc<impl SharedStore + 'static>) -> World {
    let mut world = World::starting(&settings());
    let store: Rc<dyn SharedStore> = Rc::clone(store) as Rc<dyn SharedStore>;
    world.site = Site::new(compile(&settings()), host(store));
    world.work();
    world
}
fn asks(browser: &Browser) -> Headers {
    browser.headers("GET", "/api/flows/1", &SCRIPT)
}
fn log_out(world: &mut World, jti: &str, sid: Option<&str>) -> Reply {
    let mut claims = json!({
        "iss": crate::testing::ISSUER, "aud": "prefect", "iat": world.now.secs(),
        "exp": world.now.secs() + 120, "jti": jti, "typ": "Logout", "sub": "alice-1",
        "events": {EVENT: {}},
    });
    if let Some(sid) = sid {
        claims["sid"] = json!(sid);
    }
    let token =
        world.idp.sign_with(&json!({"alg": "EdDSA", "typ": "logout+jwt", "kid": "k1"}), &claims);
    let body = encode([("logout_token", token.as_str())]);
    world
        .post(
            &request(
                "POST",
                "/oauth2/backchannel_logout",
                &[("content-type", "application/x-www-form-urlencoded")],
            ),
            body.as_bytes(),
            100,
        )
        .reply()
}
fn counts(world: &mut World, browser: &Browser) -> bool {
    matches!(browser.clone().fetch(world, "GET", "/api/flows/1"), Outcome::Forwarded(_))
}

/// The later of two logouts counts at every worker.
#[test]
fn a_second_logout_is_seen_by_all_workers() {
    let store = Rc::new(MemoryStore::default());
    let (mut first, mut second) = (worker(&store), worker(&store));
    let mut one = Browser::default();
    one.log_in(&mut first, "/");
    assert_eq!(log_out(&mut first, "j1", None).status, 200);
    assert!(!counts(&mut first, &one) && !counts(&mut second, &one));
    first.pass(10);
    second.pass(10);
    let mut two = Browser::default();
    two.log_in(&mut first, "/");
    assert!(counts(&mut first, &two) && counts(&mut second, &two));
    first.pass(10);
    second.pass(10);
    assert_eq!(log_out(&mut first, "j2", None).status, 200);
    assert!(!counts(&mut first, &two), "the worker that was told");
    assert!(!counts(&mut second, &two), "the other worker");
}

/// The same by marks alone: what was renewed elsewhere is newer here, and stays so in the store.
#[test]
fn marks_renewed_elsewhere_are_newer_here() {
    let store: Rc<dyn SharedStore> = Rc::new(MemoryStore::default());
    let master = [7; 32];
    let mk =
        || Tombstones::new("p", core::time::Duration::from_secs(3600), &master, Rc::clone(&store));
    let (mut a, mut b) = (mk(), mk());
    let what = tombstone_of(b"sub alice");
    let t = UnixTime::from_secs;
    a.renew(what, t(1000));
    b.look();
    assert_eq!(b.at(what, t(1000)), Some(t(1000)));
    a.renew(what, t(1020));
    b.look();
    // b writes another mark into the same record
    let mut other = what.bytes();
    other[0] ^= 1;
    let other = TombstoneId::from_bytes(other);
    b.renew(other, t(1021));
    let mut c = mk();
    c.look();
    assert_eq!(b.at(what, t(1020)), Some(t(1020)), "b");
    assert_eq!(c.at(what, t(1020)), Some(t(1020)), "c");
}

/// Another realm in the same Envoy, under the same key.
#[test]
fn a_logout_is_for_its_issuer() {
    let store = Rc::new(MemoryStore::default());
    let mut a = worker(&store);
    let mut second = configuration();
    second["issuer"] = json!("https://sso.example.com/realms/other");
    let config_b = compile(&second);
    let dynstore: Rc<dyn SharedStore> = Rc::<MemoryStore>::clone(&store);
    let mut site_b = Site::new(config_b, host(dynstore));
    let mut browser = Browser::default();
    browser.log_in(&mut a, "/");
    a.pass(1);
    let logout = Logout { sid: None, subject: Some("alice-1".into()), jti: "j".into() };
    site_b.end_by_provider(&logout, a.now);
    assert!(matches!(a.request(&asks(&browser)).1, Outcome::Forwarded(_)));
}

/// A refresh that has waited in the queue for longer than its lease.
#[test]
fn a_queued_refresh_is_not_sent_after_another_worker_made_it() {
    let store = Rc::new(MemoryStore::default());
    let (mut first, mut second) = (worker(&store), worker(&store));
    let browsers: Vec<Browser> = (0..65)
        .map(|_| {
            let mut browser = Browser::default();
            browser.log_in(&mut first, "/");
            browser
        })
        .collect();
    for w in [&mut first, &mut second] {
        w.pass(300);
        w.work();
    }
    // 65 sessions are due at once at the first worker: 64 go out, one is queued; the provider is slow.
    let mut waiting: Vec<_> = browsers
        .iter()
        .map(|b| {
            let headers = asks(b);
            let (gate, outcome) = first.begin(&headers);
            assert!(matches!(outcome, Outcome::Waiting));
            (gate, headers)
        })
        .collect();
    let mut calls = Vec::new();
    while let Some(call) = first.poll() {
        calls.push(call);
    }
    assert_eq!(calls.len(), 64);
    let last = browsers.last().unwrap();
    // Three answers of 4 s each later (a longer queue; here: time passes) the second worker asks.
    first.pass(12);
    second.pass(12);
    let mut at_second = last.clone();
    let (mut gate, outcome) = second.request(&asks(last));
    outcome.forwarded();
    let lines = [(":status".to_owned(), b"200".to_vec())];
    let edit = edited(gate.on_response(ResponseView { headers: &lines }, &mut second.cx()));
    for (_, v) in edit.add.iter().filter(|(n, _)| *n == "set-cookie") {
        at_second.keep_line(v);
    }
    assert_eq!(second.idp.called(TOKEN), 1);
    // The first worker's provider knows that this token was used.
    first.idp.strict_rotation = true;
    first.idp.redeemed.extend(second.idp.redeemed.clone());
    for (call, callout) in calls {
        let answer = first.idp.answer(&callout, first.now);
        first.site.on_callout(call, reply_of(answer.as_ref()), first.now);
    }
    let before = first.idp.called(TOKEN);
    let (gate, headers) = waiting.pop().unwrap();
    let outcomes = first.finish_waiting(vec![(gate, headers)]);
    // and it has overwritten the good result for everybody:
    let mut third = worker(&store);
    third.now = first.now;
    third.work();
    third.request(&asks(last)).1.forwarded();
    second.request(&asks(&at_second)).1.forwarded();
    assert_eq!(first.idp.called(TOKEN) - before, 0, "one refresh per process");
    assert_eq!(outcomes[0].1.status(), 200);
}

/// The first reads see nothing, as between another worker's read and its write.
struct Racing {
    inner: Rc<MemoryStore>,
    blind: Cell<usize>,
}
impl SharedStore for Racing {
    fn read(&self, name: &str) -> Option<Stored> {
        if name.starts_with("lictor.answers.") && self.blind.get() > 0 {
            self.blind.set(self.blind.get() - 1);
            // What stood there when this worker read: nothing, for the very first time.
            return None;
        }
        self.inner.read(name)
    }
    fn write(&self, name: &str, value: &[u8], version: Option<u32>) -> Written {
        self.inner.write(name, value, version)
    }
}

/// Two workers that write a record for the first time.
#[test]
fn the_first_lease_of_a_record_is_won_by_one_worker() {
    let store = Rc::new(MemoryStore::default());
    let mut first = worker(&store);
    let racing = Rc::new(Racing { inner: Rc::clone(&store), blind: Cell::new(0) });
    let mut second = worker(&racing);
    let mut browser = Browser::default();
    browser.log_in(&mut first, "/");
    for w in [&mut first, &mut second] {
        w.pass(300);
        w.work();
    }
    // both look and read for the lease before either writes
    let (_g1, o1) = first.begin(&asks(&browser));
    racing.blind.set(2);
    let (_g2, o2) = second.begin(&asks(&browser));
    assert!(matches!((o1, o2), (Outcome::Waiting, Outcome::Waiting)));
    let (a, b) = (first.poll().is_some(), second.poll().is_some());
    assert!(a ^ b, "one refresh: {a} {b}");
}

/// Nine people whose results stand in one record, found by a worker on a store of its own.
fn nine_of_one_record(world: &mut World) -> Vec<Browser> {
    let store = Rc::new(MemoryStore::default());
    let mut probe = worker(&store);
    let versions = || -> HashMap<String, u32> {
        let values = store.0.borrow();
        let records = values.iter().filter(|(name, _)| name.starts_with("lictor.answers."));
        records.map(|(name, (_, version))| (name.clone(), *version)).collect()
    };
    let mut by_record: HashMap<String, Vec<Browser>> = HashMap::new();
    let start = world.now;
    loop {
        let mut browser = Browser::default();
        world.now = start;
        browser.log_in(world, "/");
        probe.now = start;
        probe.pass(300);
        let before = versions();
        assert!(matches!(probe.begin(&asks(&browser)).1, Outcome::Waiting));
        while probe.poll().is_some() {}
        let name = versions().into_iter().find(|(name, v)| before.get(name) != Some(v)).unwrap().0;
        let sharing = by_record.entry(name.clone()).or_default();
        sharing.push(browser);
        if sharing.len() == 9 {
            return by_record.remove(&name).unwrap();
        }
        // The probe waits for nobody, so that its queue never fills.
        probe.site = Site::new(compile(&settings()), host(Rc::<MemoryStore>::clone(&store) as _));
        probe.work();
    }
}

/// Two workers, and nine people of one record whose sessions are due.
fn crowded() -> (World, World, Vec<Browser>) {
    let store = Rc::new(MemoryStore::default());
    let (mut first, mut second) = (worker(&store), worker(&store));
    let nine = nine_of_one_record(&mut first);
    later(&mut first, &mut second, 300);
    (first, second, nine)
}

fn later(first: &mut World, second: &mut World, seconds: u64) {
    for world in [first, second] {
        world.pass(seconds);
        world.work();
    }
}

fn all_wait(world: &mut World, browsers: &[Browser]) {
    for browser in browsers {
        assert!(matches!(world.begin(&asks(browser)).1, Outcome::Waiting));
    }
}

/// More sessions than a record has results for: leases stay.
#[test]
fn leases_are_not_pushed_out_of_a_crowded_record() {
    let (mut first, mut second, nine) = crowded();
    all_wait(&mut first, &nine);
    assert!(matches!(second.begin(&asks(&nine[0])).1, Outcome::Waiting));
    assert!(second.poll().is_none(), "a second refresh of the same session in this process");
}

/// And a result that was just written stays, whoever else is asking.
#[test]
fn a_result_is_not_pushed_out_of_a_crowded_record_as_it_is_written() {
    let (mut first, mut second, nine) = crowded();
    for browser in &nine[..8] {
        first.request(&asks(browser)).1.forwarded();
    }
    later(&mut first, &mut second, 301);
    all_wait(&mut first, &nine);
    assert!(matches!(second.begin(&asks(&nine[8])).1, Outcome::Waiting));
    let calls: Calls = core::iter::from_fn(|| first.poll()).collect();
    assert_eq!(calls.len(), 9);
    let (call, callout) = calls.last().unwrap();
    let answer = first.idp.answer(callout, first.now);
    first.site.on_callout(*call, reply_of(answer.as_ref()), first.now);
    second.pass(1);
    assert!(second.poll().is_none(), "the same token a second time");
}

/// From some write on nothing finds its place.
struct Stubborn {
    inner: MemoryStore,
    left: Cell<Option<usize>>,
}
impl SharedStore for Stubborn {
    fn read(&self, name: &str) -> Option<Stored> {
        self.inner.read(name)
    }
    fn write(&self, name: &str, value: &[u8], version: Option<u32>) -> Written {
        match self.left.get() {
            Some(0) => Written::Conflict,
            Some(n) => {
                self.left.set(Some(n - 1));
                self.inner.write(name, value, version)
            }
            None => self.inner.write(name, value, version),
        }
    }
}

/// A logout that found no place may be sent again.
#[test]
fn a_busy_logout_can_be_repeated() {
    let store = Rc::new(Stubborn { inner: MemoryStore::default(), left: Cell::new(None) });
    let mut world = worker(&store);
    let mut browser = Browser::default();
    world.idp.claims = json!({"sid": "sid-1"});
    browser.log_in(&mut world, "/");
    store.left.set(Some(2));
    assert_eq!(log_out(&mut world, "j1", Some("sid-1")).status, 503);
    store.left.set(None);
    let again = log_out(&mut world, "j1", Some("sid-1")).status;
    let on = counts(&mut world, &browser);
    assert_eq!((again, on), (200, false), "the provider's second try");
}

/// A sign-out counts whatever the clock does.
#[test]
fn a_clock_that_goes_back_revives_no_session() {
    let store = Rc::new(MemoryStore::default());
    let mut world = worker(&store);
    let mut browser = Browser::default();
    browser.log_in(&mut world, "/");
    let stolen = browser.clone();
    world.pass(200);
    browser.load(&mut world, "/oauth2/sign_out");
    assert!(!counts(&mut world, &stolen));
    world.now = UnixTime::from_millis(world.now.millis() - 100_000);
    assert!(!counts(&mut world, &stolen), "signed out");
}

/// And so does the use of a state.
#[test]
fn a_state_is_used_once_whatever_the_clock_does() {
    let store = Rc::new(MemoryStore::default());
    let mut world = worker(&store);
    let mut browser = Browser::default();
    world.pass(0);
    let callback = browser.start_login(&mut world, "/");
    let copy = browser.clone();
    world.pass(120);
    browser.load(&mut world, &callback);
    let redeemed = world.idp.called(TOKEN);
    world.now = UnixTime::from_millis(world.now.millis() - 100_000);
    copy.clone().load(&mut world, &callback);
    assert_eq!(world.idp.called(TOKEN), redeemed, "the code goes to the provider once");
}

/// A refresh token that came without a verdict is put into the cookie.
#[test]
fn a_rotated_token_survives_a_restart() {
    let mut settings = configuration();
    settings["idp"] = json!({"userinfo": true});
    let mut world = World::starting(&settings);
    world.work();
    world.idp.userinfo =
        Some(json!({"sub": "alice-1", "realm_access": {"roles": ["prefect-operator"]}}));
    world.idp.claims = json!({"realm_access": null});
    world.idp.strict_rotation = true;
    let mut browser = Browser::default();
    browser.log_in(&mut world, "/");
    world.pass(301);
    world.work();
    world.idp.userinfo = None;
    let (mut gate, outcome) = world.request(&asks(&browser));
    outcome.forwarded();
    let lines = [(":status".to_owned(), b"200".to_vec())];
    let edit = edited(gate.on_response(ResponseView { headers: &lines }, &mut world.cx()));
    for (_, v) in edit.add.iter().filter(|(n, _)| *n == "set-cookie") {
        browser.keep_line(v);
    }
    // another replica, or this one after a restart
    let store: Rc<dyn SharedStore> = Rc::new(MemoryStore::default());
    world.site = Site::new(compile(&settings), host(store));
    world.work();
    world.idp.userinfo =
        Some(json!({"sub": "alice-1", "realm_access": {"roles": ["prefect-operator"]}}));
    assert_eq!(world.request(&asks(&browser)).1.status(), 200);
}

/// nginx hands on the first `Set-Cookie` alone.
#[test]
fn a_verdict_never_needs_two_cookies() {
    let mut world = World::new();
    world.idp.refresh_token_length = 4000;
    let mut browser = Browser::default();
    browser.log_in(&mut world, "/");
    assert!(browser.cookies.len() >= 2, "{}", browser.cookies.len());
    world.pass(301);
    world.work();
    let reply = world.request(&browser.headers("GET", "/oauth2/auth", &SCRIPT)).1.reply();
    let lines: Vec<_> =
        reply.headers.iter().filter(|(n, _)| *n == "set-cookie").map(|(_, v)| v.clone()).collect();
    // nginx passes on the first
    if let Some(first) = lines.first() {
        browser.keep_line(first);
    }
    let next = world.request(&asks(&browser)).1.status();
    assert!(lines.len() <= 1 && next == 200);
}

/// Old cookies cause no calls.
#[test]
fn signing_out_of_what_is_over_asks_nobody() {
    let store = Rc::new(MemoryStore::default());
    let mut world = worker(&store);
    let mut browser = Browser::default();
    browser.log_in(&mut world, "/");
    let old = browser.clone();
    browser.load(&mut world, "/oauth2/sign_out");
    world.pass(40 * 3600);
    world.work();
    let before = world.idp.logged_out.len();
    for _ in 0..200 {
        old.clone().load(&mut world, "/oauth2/sign_out");
    }
    assert_eq!(world.idp.logged_out.len(), before);
}

/// An old cookie does not bring back a role that the provider has taken away, not even in grace.
#[test]
fn an_old_cookie_in_grace_has_the_newest_known_role() {
    let mut world = World::new();
    let mut browser = Browser::default();
    world.idp.claims = json!({"realm_access": {"roles": ["prefect-admin"]}});
    browser.log_in(&mut world, "/");
    let old = browser.clone();
    let asks = |b: &Browser| b.headers("DELETE", "/api/flows/1", &SCRIPT);
    assert!(matches!(world.request(&asks(&old)).1, Outcome::Forwarded(_)), "admin");
    world.pass(301);
    world.work();
    world.idp.claims = json!({"realm_access": {"roles": ["prefect-viewer"]}});
    assert_eq!(world.request(&asks(&old)).1.status(), 403, "rechecked: viewer");
    world.pass(301);
    world.idp.mood = Mood::Away;
    world.work();
    assert_eq!(
        world.request(&asks(&old)).1.status(),
        403,
        "still viewer while the provider is away"
    );
}

/// Too many that wait are no outage.
#[test]
fn requests_beyond_the_waiting_ones_are_not_let_through() {
    let mut world = World::new();
    let mut browser = Browser::default();
    browser.log_in(&mut world, "/");
    world.pass(301);
    world.work();
    world.idp.mood = Mood::RefreshRefused; // the provider has ended the session
    let asks = browser.headers("GET", "/api/flows/1", &SCRIPT);
    let waiting: Vec<_> = (0..1024).map(|_| world.begin(&asks)).collect();
    assert!(waiting.iter().all(|(_, o)| matches!(o, Outcome::Waiting)));
    let (_, outcome) = world.begin(&asks);
    assert!(!matches!(outcome, Outcome::Forwarded(_)), "an ended session");
}

/// A page that waits for the provider does not become a "login loop".
#[test]
fn an_outage_during_a_login_is_not_a_login_loop() {
    let mut world = World::new();
    let mut browser = Browser::default();
    let callback = browser.start_login(&mut world, "/");
    world.idp.mood = Mood::Away;
    world.pass(31);
    world.work();
    for _ in 0..5 {
        assert_eq!(browser.load(&mut world, &callback).reply().status, 503);
        world.pass(10);
        world.work();
    }
}

/// Trailers would let a held body go on, with its head.
#[test]
fn trailers_end_a_logout_and_nothing_else() {
    let mut world = worker(&Rc::new(MemoryStore::default()));
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let (mut gate, outcome) = world.request(&request("POST", "/oauth2/backchannel_logout", &form));
    assert!(matches!(outcome, Outcome::Reading));
    let answer = gate.on_request_trailers(&mut world.cx());
    assert!(matches!(answer, DataStep::Answer(reply) if reply.status == 400));
    assert_eq!(gate.on_request_data(b"x", true, &mut world.cx()), DataStep::Hold, "it is over");
    assert_eq!(gate.on_request_trailers(&mut world.cx()), DataStep::Hold);
    let mut browser = Browser::default();
    browser.log_in(&mut world, "/");
    let (mut gate, outcome) = world.request(&asks(&browser));
    outcome.forwarded();
    assert_eq!(gate.on_request_trailers(&mut world.cx()), DataStep::Pass, "Prefect gets its own");
}

/// So many people whose sessions are due, and what the first worker has sent: all but the last.
fn one_too_many(first: &mut World, second: &mut World) -> (Browser, Vec<(Gate, Headers)>, Calls) {
    let browsers: Vec<Browser> = (0..65)
        .map(|_| {
            let mut browser = Browser::default();
            browser.log_in(first, "/");
            browser
        })
        .collect();
    for world in [&mut *first, &mut *second] {
        world.pass(300);
        world.work();
    }
    let waiting = browsers.iter().map(|browser| {
        let headers = asks(browser);
        (first.begin(&headers).0, headers)
    });
    let waiting = waiting.collect();
    let calls: Calls = core::iter::from_fn(|| first.poll()).collect();
    assert_eq!(calls.len(), 64);
    (browsers.last().unwrap().clone(), waiting, calls)
}

type Calls = Vec<(SiteCall, Callout)>;

/// Silence for what was never sent takes back nothing that another worker was told meanwhile.
#[test]
fn an_outage_takes_no_verdict_back() {
    let store = Rc::new(MemoryStore::default());
    let (mut first, mut second) = (worker(&store), worker(&store));
    let (last, _waiting, calls) = one_too_many(&mut first, &mut second);
    first.pass(12);
    second.pass(12);
    second.idp.mood = Mood::RefreshRefused;
    assert_eq!(second.request(&asks(&last)).1.status(), 401);
    first.pass(1);
    first.site.on_callout(calls[0].0, CalloutReply::NotSent, first.now);
    let mut third = worker(&store);
    third.now = first.now;
    third.work();
    for world in [&mut third, &mut first] {
        assert_eq!(world.request(&asks(&last)).1.status(), 401);
    }
}

/// A new session that is over at once used to be another login, and so on for ever.
#[test]
fn a_not_before_ahead_of_the_clock_is_no_circle() {
    let mut settings = configuration();
    settings["session"] = json!({"not_before": "2027-02-01T00:00:00Z"});
    let mut world = World::starting(&settings);
    world.work();
    let mut browser = Browser::default();
    let callback = browser.start_login(&mut world, "/");
    let reply = browser.load(&mut world, &callback).reply();
    assert_eq!(reply.status, 400);
    assert!(world.log.iter().any(|line| line.contains("session.not_before")), "{:?}", world.log);
}

/// A clock that went back does not make old results news for ever.
#[test]
fn a_clock_that_goes_back_does_not_keep_a_session_from_being_asked_for() {
    let mut world = World::new();
    let mut browser = Browser::default();
    browser.log_in(&mut world, "/");
    world.pass(700);
    world.work();
    world.idp.mood = Mood::Away;
    world.request(&asks(&browser)).1.forwarded();
    world.now = UnixTime::from_millis(world.now.millis() - 300_000);
    world.idp.mood = Mood::RefreshRefused;
    let statuses: Vec<u16> = (0..3)
        .map(|_| {
            world.pass(10);
            world.work();
            world.request(&asks(&browser)).1.status()
        })
        .collect();
    assert_eq!(statuses.last(), Some(&401), "{statuses:?}");
}

/// The later of two marks stands, whichever clock wrote last.
#[test]
fn a_mark_renewed_by_an_earlier_clock_stands() {
    let store: Rc<dyn SharedStore> = Rc::new(MemoryStore::default());
    let mut marks = Tombstones::new("p", core::time::Duration::from_secs(3600), &[7; 32], store);
    let (what, at) = (tombstone_of(b"sub alice"), UnixTime::from_secs);
    marks.renew(what, at(1000));
    marks.renew(what, at(950));
    assert_eq!(marks.at(what, at(950)), Some(at(1000)));
}

/// What is known to be over is over at a worker that has no provider yet.
#[test]
fn a_verdict_counts_without_a_provider() {
    let store = Rc::new(MemoryStore::default());
    let mut first = worker(&store);
    let mut browser = Browser::default();
    browser.log_in(&mut first, "/");
    first.pass(300);
    first.work();
    first.idp.mood = Mood::RefreshRefused;
    assert_eq!(first.request(&asks(&browser)).1.status(), 401);
    let mut fresh = worker(&store);
    let shared: Rc<dyn SharedStore> = Rc::<MemoryStore>::clone(&store);
    let mut settings = settings();
    settings["idp"] = json!({"internal_url": "http://elsewhere:8080/realms/prefect"});
    fresh.site = Site::new(compile(&settings), host(shared));
    fresh.now = first.now;
    assert!(fresh.site.provider().is_none());
    assert_eq!(fresh.request(&asks(&browser)).1.status(), 401);
}
