//! Passwords of an htpasswd file: whose they are, for how long, and how often they are guessed.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::config::Config;
use crate::foundation::limits::{ATTEMPTS_PER_CLIENT, PASSWORD_ROUNDS};
use crate::testing::machines::{HTPASSWD, PAIR, asks, htpasswd};
use crate::testing::{
    API_KEY, AUTH_STRING, World, basic, code, compile, configuration, environment, header,
    reply_header, request_to,
};
use serde_json::{Value, json};

/// Rounds of bcrypt for one check of [`HTPASSWD`], which has a cost of 4.
const ROUNDS: u32 = 16;

fn settings(machines: &Value) -> Value {
    let mut settings = configuration();
    settings["machines"]["htpasswd"] = htpasswd();
    crate::testing::idp::merge(&mut settings["machines"], machines);
    settings
}

fn world() -> World {
    World::with(&settings(&json!({})))
}

/// The code of the refusal, or `None` if Prefect got the request.
fn refused(world: &mut World, pair: &str) -> Option<String> {
    let outcome = world.request(&asks(pair)).1;
    (outcome.status() != 200).then(|| code(&outcome.reply()).to_owned())
}

#[test]
fn a_password_proves_its_user_until_it_expires() {
    let mut world = world();
    for (seconds, wanted) in
        [(0, None), (3599, None), (1, Some("wrong_password")), (9999, Some("wrong_password"))]
    {
        world.pass(seconds);
        assert_eq!(refused(&mut world, HTPASSWD.0).as_deref(), wanted, "{seconds}");
        assert_eq!(refused(&mut world, "reports:guess").as_deref(), Some("wrong_password"));
    }
    // The log tells the operator.
    let log = world.log.join("\n");
    assert!(log.contains("reports, whose entry has expired"), "{log}");
    assert_eq!(world.exchanges(), 0, "a user's password was sent to the provider");
}

#[test]
fn prefect_learns_the_user_and_not_the_password() {
    let mut world = world();
    let sent = world.request(&asks(HTPASSWD.0)).1.forwarded();
    assert_eq!(header(&sent, "x-auth-request-user"), Some("htpasswd:reports"));
    assert_eq!(header(&sent, "x-auth-request-groups"), Some("worker"));
    assert!(header(&sent, "authorization").unwrap().starts_with("Basic "));
    let password = HTPASSWD.0.split_once(':').unwrap().1;
    for (name, value) in &sent {
        let value = String::from_utf8_lossy(value);
        assert!(!value.contains(password) && value != basic(HTPASSWD.0), "{name}");
    }
}

#[test]
fn names_and_passwords_are_told_apart_from_other_credentials() {
    type Case = (Value, &'static str, Option<&'static str>, usize);
    let long = Box::leak(format!("reports:{}", "x".repeat(73)).into_boxed_str());
    let cases: [Case; 12] = [
        (json!({}), HTPASSWD.0, None, 0),
        (json!({}), "reports:wrong", Some("wrong_password"), 0),
        // Nearly a user's name: the password may be the user's.
        (json!({}), "Reports:planted-password-of-reports", Some("wrong_password"), 0),
        (json!({}), " reports:planted-password-of-reports", Some("misspelt_credential"), 0),
        (json!({}), "reports:planted-password-of-reports ", Some("wrong_password"), 0),
        (json!({}), "reports:", Some("wrong_password"), 0),
        (json!({}), long, Some("wrong_password"), 0),
        (json!({}), PAIR, None, 1),
        (json!({}), "nobody:guess", Some("client_credentials"), 1),
        (json!({"client_credentials": false}), "nobody:guess", Some("wrong_password"), 0),
        (
            json!({"client_credentials": {"clients": ["etl-*"]}}),
            "nobody:guess",
            Some("wrong_password"),
            0,
        ),
        (json!({"htpasswd": []}), HTPASSWD.0, Some("client_credentials"), 1),
    ];
    for (machines, pair, wanted, exchanges) in cases {
        let mut world = World::with(&settings(&machines));
        assert_eq!(refused(&mut world, pair).as_deref(), wanted, "{machines} {pair}");
        assert_eq!(world.exchanges(), exchanges, "{machines} {pair}");
    }
    let mut world = world();
    assert_eq!(refused(&mut world, AUTH_STRING).as_deref(), Some("credential_not_accepted"));
}

/// Whoever is no client of the provider does not learn which names there are.
#[test]
fn a_name_without_an_entry_is_refused_as_one_with_an_entry() {
    let clients = [json!(false), json!({"clients": ["etl-*"]})];
    let passwords = ["guess", "", " ", "x ", "\u{200b}", "lk_0123456789abcdef", "Bearer x"];
    let long = ["x".repeat(72), "x".repeat(73), "x".repeat(1024), "x".repeat(1025)];
    for clients in clients {
        for password in passwords.into_iter().chain(long.iter().map(String::as_str)) {
            let answers = ["reports", "nobody"].map(|name| {
                let mut world = World::with(&settings(&json!({"client_credentials": clients})));
                let reply = world.request(&asks(&format!("{name}:{password}"))).1.reply();
                (reply.status, reply.headers().to_vec(), reply.body)
            });
            assert_eq!(answers[0], answers[1], "{clients} {password:?}");
        }
    }
}

/// With entries of different costs.
#[test]
fn a_cheaper_entry_is_charged_as_the_slowest() {
    let slow = "slow:$2y$06$abcdefghijklmnopqrstuuqEHtlaJCN3fSaLjbhzZmCKXPpkX8cpq";
    let slow = json!({ "line": slow, "role": "worker", "expires": "2027-01-15T09:00:00Z" });
    let entries = json!([htpasswd()[0], slow]);
    let machines = json!({"htpasswd": entries, "client_credentials": false});
    let counts = ["reports", "slow", "nobody"].map(|name| {
        let mut world = World::with(&settings(&machines));
        let tried = (0_u32..400).filter(|number| {
            world.peer.address = format!("198.51.100.{}", number % 200).into_bytes();
            let pair = format!("{name}:guess-{number}");
            refused(&mut world, &pair).as_deref() == Some("wrong_password")
        });
        tried.count()
    });
    assert_eq!(counts, [256; 3], "64 rounds each of 16,384");
}

/// A right password that has expired is told from a wrong one in the log alone.
#[test]
fn an_expired_password_is_as_costly_as_a_wrong_one() {
    for password in [HTPASSWD.0, "reports:wrong"] {
        let mut world = world();
        assert_eq!(refused(&mut world, HTPASSWD.0), None);
        world.pass(3600);
        assert_eq!(refused(&mut world, password).as_deref(), Some("wrong_password"));
        world.pass(61);
        for number in 0..40 {
            refused(&mut world, &format!("reports:guess-{number}"));
        }
        assert_eq!(refused(&mut world, password).as_deref(), Some("busy"), "{password}");
    }
}

/// A password in the place of the name.
#[test]
fn an_unknown_name_is_not_logged() {
    let mut world = World::with(&settings(&json!({"client_credentials": false})));
    assert_eq!(refused(&mut world, "planted-password:reports").as_deref(), Some("wrong_password"));
    assert!(!world.log.join("").contains("planted"), "{:?}", world.log);
}

/// Browsers repeat a password by themselves, and so another site can make them.
#[test]
fn a_password_does_not_authenticate_what_another_site_asks_for() {
    let password = basic(HTPASSWD.0);
    let key = basic(&format!("etl:{API_KEY}"));
    let machines = "api.prefect.example.com";
    let navigation = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    let cross = ("sec-fetch-site", "cross-site");
    let by = |host: &str, method: &str, lines: &[(&str, &str)], shown: &str| {
        let lines = [lines, &[("authorization", shown)]].concat();
        let path = if method == "GET" { "/api/flows/1" } else { "/api/flows/filter" };
        let mut settings = settings(&json!({"hosts": [machines]}));
        settings["machines"]["api_keys"] = configuration()["machines"]["api_keys"].clone();
        World::with(&settings).request(&request_to(host, method, path, &lines)).1.status()
    };
    for host in ["prefect.example.com", machines] {
        let own = format!("https://{host}");
        let rows: [(&str, Vec<(&str, &str)>, u16); 10] = [
            ("POST", vec![], 200),
            // Programs that are no browsers.
            ("POST", vec![("sec-fetch-mode", "cors")], 200),
            ("POST", vec![("origin", &own)], 200),
            ("GET", vec![("origin", &own)], 200),
            ("POST", vec![cross, navigation[0]], 403),
            ("POST", vec![("sec-fetch-site", "same-site"), ("sec-fetch-mode", "no-cors")], 403),
            ("GET", vec![cross, ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")], 403),
            ("POST", vec![("origin", "https://evil.example")], 403),
            ("POST", vec![("origin", "null")], 403),
            ("POST", vec![cross, ("origin", &own)], 403),
        ];
        for (method, lines, wanted) in rows {
            assert_eq!(by(host, method, &lines, &password), wanted, "{host} {method} {lines:?}");
            // Nobody types an API key into a browser, and listed origins send them.
            assert_eq!(by(host, method, &lines, &key), 200, "{host} {method} {lines:?}");
        }
    }
    // A subrequest of another proxy says GET, and may stand for the form of another site.
    let shown = ("authorization", password.as_str());
    for (lines, wanted) in
        [(vec![shown], 202), (vec![cross, navigation[0], navigation[1], shown], 403)]
    {
        let asked = request_to(machines, "GET", "/oauth2/auth", &lines);
        let mut world = World::with(&settings(&json!({"hosts": [machines]})));
        assert_eq!(world.request(&asked).1.status(), wanted, "{lines:?}");
    }
}

/// A bcrypt stops a worker. Guesses get a share of its time, and take none from known users.
#[test]
fn guesses_are_bounded_and_hold_up_no_known_user() {
    let mut world = world();
    assert_eq!(refused(&mut world, HTPASSWD.0), None);
    let mut tried = 0;
    for number in 0_u32..3_000 {
        world.peer.address = format!("198.51.{}.{}", number / 250, number % 250).into_bytes();
        match refused(&mut world, &format!("reports:guess-{number}")).as_deref() {
            Some("wrong_password") => tried += 1,
            wanted => assert_eq!(wanted, Some("busy")),
        }
        if number % 100 == 0 {
            assert_eq!(refused(&mut world, HTPASSWD.0), None, "the known user");
        }
    }
    // The first check is that of the user.
    assert_eq!((tried + 1) * ROUNDS, PASSWORD_ROUNDS.burst);
    let reply = world.request(&asks("reports:another")).1.reply();
    assert_eq!(reply.status, 503);
    assert!(reply_header(&reply, "retry-after").is_some());
    world.pass(1);
    let more = (0_u32..200)
        .filter(|number| {
            world.peer.address = format!("203.0.113.{number}").into_bytes();
            refused(&mut world, &format!("reports:late-{number}")).as_deref()
                == Some("wrong_password")
        })
        .count();
    assert_eq!(more, 1000 / ROUNDS as usize, "rounds of a second");
}

/// Whatever the cost of a check: one network never takes all of a worker's time.
#[test]
fn guesses_from_one_network_leave_time_for_others() {
    const SLOW: &str = "slow:$2y$10$abcdefghijklmnopqrstuuqEHtlaJCN3fSaLjbhzZmCKXPpkX8cpq";
    let entry = json!({ "line": SLOW, "role": "worker", "expires": "2027-01-15T09:00:00Z" });
    let mut number = 0;
    let mut checked_by = |world: &mut World, address: &str, name: &str| {
        world.peer.address = address.as_bytes().to_vec();
        let tried = (0..40).filter(|_| {
            number += 1;
            let pair = format!("{name}:guess-{number}");
            refused(world, &pair).as_deref() == Some("wrong_password")
        });
        tried.count()
    };
    let mut world = World::with(&settings(&json!({"htpasswd": [entry.clone()]})));
    // Half of all rounds, which is eight times the cost of a check. Then one in two seconds.
    assert_eq!(checked_by(&mut world, "192.0.2.1", "slow"), 8);
    assert_eq!(checked_by(&mut world, "192.0.2.1", "slow"), 0);
    assert_eq!(checked_by(&mut world, "198.51.100.7", "slow"), 8, "what the others have");
    world.pass(4);
    assert_eq!(checked_by(&mut world, "192.0.2.1", "slow"), 1, "by the name's own limit");
    // A name of nobody costs as much, and is refused as often.
    let mut world =
        World::with(&settings(&json!({"htpasswd": [entry], "client_credentials": false})));
    let names: Vec<String> = (0..40).map(|number| format!("nobody-{number}")).collect();
    let checked = names.iter().filter(|name| {
        refused(&mut world, &format!("{name}:guess")).as_deref() == Some("wrong_password")
    });
    assert_eq!(checked.count(), 8);
    let mut world = self::world();
    let burst = ATTEMPTS_PER_CLIENT.burst as usize;
    assert_eq!(checked_by(&mut world, "192.0.2.1", "reports"), burst);
    world.peer.address = b"198.51.100.7".to_vec();
    assert_eq!(refused(&mut world, HTPASSWD.0), None);
}

/// A machine that repeats a wrong password costs one check a minute.
#[test]
fn a_wrong_password_is_not_checked_again_at_once() {
    let mut world = world();
    for _ in 0..1000 {
        assert_eq!(refused(&mut world, "reports:old").as_deref(), Some("wrong_password"));
    }
    assert_eq!(refused(&mut world, HTPASSWD.0), None, "from the same network");
    // A minute later it is checked again, for which there must be room.
    world.pass(61);
    for number in 0..40 {
        refused(&mut world, &format!("reports:guess-{number}"));
    }
    assert_eq!(refused(&mut world, "reports:old").as_deref(), Some("busy"));
}

#[test]
fn lines_are_checked_and_never_quoted() {
    let entry =
        |line: &str| json!([{ "line": line, "role": "worker", "expires": "2027-01-15T09:00:00Z" }]);
    let hash = HTPASSWD.1.split_once(':').unwrap().1;
    let twice = json!([htpasswd()[0], htpasswd()[0]]);
    let forever = json!([{ "line": HTPASSWD.1, "role": "worker" }]);
    let nobody = json!([{ "line": HTPASSWD.1, "expires": "2027-01-15T09:00:00Z" }]);
    for (entries, wanted) in [
        (
            entry("planted-password"),
            "[0].line: found no line of an htpasswd file, wanted name:hash",
        ),
        (entry(&format!(":{hash}")), "no line of an htpasswd file"),
        (entry(&format!("a\nb:{hash}")), "no line of an htpasswd file"),
        (entry(&format!("{}:{hash}", "x".repeat(256))), "no line of an htpasswd file"),
        (entry(&format!("etl :{hash}")), "no line of an htpasswd file"),
        (entry("etl:planted-password"), "crypt, a password itself, or something else"),
        (entry("etl:{SHA}planted="), "SHA-1"),
        (entry("etl:$apr1$planted"), "MD5"),
        (
            entry(&HTPASSWD.1.replace("$04$", "$31$")),
            "found a cost of 31, wanted a cost of 4 to 10",
        ),
        (entry(&HTPASSWD.1.replace("$04$", "$12$")), "htpasswd -nB -C 10"),
        (entry(&format!("{}:more", HTPASSWD.1)), "a bcrypt hash that is incomplete"),
        (twice, "[1].line: found another line of \"reports\""),
        (forever, "[0].expires: found nothing"),
        (nobody, "[0].role: found nothing"),
    ] {
        let mut settings = configuration();
        settings["machines"]["htpasswd"] = entries;
        let errors = Config::compile(settings.to_string().as_bytes(), &environment).unwrap_err();
        let text = errors.to_string();
        assert!(text.contains(wanted), "{wanted}: {text}");
        assert!(!text.contains("planted") && !text.contains(&hash[7..]), "{text}");
    }
}

#[test]
fn the_log_warns_while_passwords_are_accepted() {
    assert!(compile(&configuration()).warnings().is_empty());
    let warnings = compile(&settings(&json!({}))).warnings();
    assert!(warnings[0].contains("machines.htpasswd"), "{warnings:?}");
    assert!(!format!("{:?}", compile(&settings(&json!({})))).contains(&HTPASSWD.1[12..]));
}
