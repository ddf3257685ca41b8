//! Sessions that are too long for one cookie: pieces that count together or not at all.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::testing::browser::Browser;
use crate::testing::{World, edited, header};

const NAMES: [&str; 4] = ["__Host-lictor", "__Host-lictor-2", "__Host-lictor-3", "__Host-lictor-4"];

/// Somebody whose provider gives refresh tokens of that many bytes.
fn logged_in(length: usize) -> (World, Browser) {
    let (mut world, mut browser) = (World::new(), Browser::default());
    world.idp.refresh_token_length = length;
    let callback = browser.start_login(&mut world, "/");
    browser.load(&mut world, &callback);
    (world, browser)
}

fn pieces(browser: &Browser) -> usize {
    NAMES.iter().filter(|name| browser.cookies.contains_key(**name)).count()
}

fn counts(world: &mut World, browser: &Browser) -> bool {
    let outcome = browser.clone().fetch(world, "GET", "/api/flows/1");
    match outcome.status() {
        200 => {
            assert_eq!(header(&outcome.forwarded(), "cookie"), None, "Prefect sees none of them");
            true
        }
        status => {
            assert_eq!(status, 401, "absent, never a fault of ours");
            false
        }
    }
}

#[test]
fn a_session_takes_as_many_cookies_as_it_needs() {
    for (length, wanted) in [(700, 1), (2600, 1), (2800, 2), (5700, 3), (8700, 4), (11_000, 4)] {
        let (mut world, browser) = logged_in(length);
        assert_eq!(pieces(&browser), wanted, "{length}");
        assert!(browser.cookies.iter().all(|(name, value)| name.len() + value.len() <= 4096));
        assert!(counts(&mut world, &browser), "{length}");
    }
    let (_, browser) = logged_in(11_500);
    assert_eq!(pieces(&browser), 0, "more than four");
}

#[test]
fn a_missing_changed_or_foreign_piece_is_no_session() {
    let (mut world, browser) = logged_in(8700);
    let mut other = Browser::default();
    let callback = other.start_login(&mut world, "/");
    other.load(&mut world, &callback);
    assert_eq!(pieces(&other), 4);
    for name in NAMES {
        let mut without = browser.clone();
        without.cookies.remove(name);
        assert!(!counts(&mut world, &without), "without {name}");
        let mut mixed = browser.clone();
        mixed.cookies.insert(name.to_owned(), other.cookies[name].clone());
        assert!(!counts(&mut world, &mixed), "another session's {name}");
        let mut cut = browser.clone();
        cut.cookies.get_mut(name).unwrap().pop();
        assert!(!counts(&mut world, &cut), "{name} cut");
    }
    let mut swapped = browser.clone();
    swapped.cookies.insert(NAMES[1].into(), browser.cookies[NAMES[2]].clone());
    swapped.cookies.insert(NAMES[2].into(), browser.cookies[NAMES[1]].clone());
    assert!(!counts(&mut world, &swapped));
    for count in ["", "0.", "1.", "2.", "3.", "5.", "9.", "44.", "-4.", "4"] {
        let mut counted = browser.clone();
        let text = counted.cookies[NAMES[0]].strip_prefix("4.").unwrap().to_owned();
        counted.cookies.insert(NAMES[0].into(), format!("{count}{text}"));
        assert!(!counts(&mut world, &counted), "{count}");
    }
    // A piece too many is of no account.
    let mut more = browser.clone();
    more.cookies.insert("__Host-lictor-5".into(), "x".into());
    assert!(counts(&mut world, &more) && counts(&mut world, &browser));
}

#[test]
fn pieces_go_when_the_session_shrinks_or_ends() {
    let (mut world, mut browser) = logged_in(8700);
    world.idp.refresh_token_length = 700;
    world.pass(300);
    let headers = browser.asks();
    let (mut gate, outcome) = world.request(&headers);
    outcome.forwarded();
    let lines = [(":status".to_owned(), b"200".to_vec())];
    let answer = crate::wire::http::request::ResponseView { headers: &lines };
    let edit = edited(gate.on_response(answer, &mut world.cx()));
    for (_, line) in edit.add.iter().filter(|(name, _)| *name == "set-cookie") {
        browser.keep_line(line);
    }
    assert_eq!(pieces(&browser), 1, "{:?}", browser.cookies.keys());
    assert!(counts(&mut world, &browser));

    let (mut world, mut browser) = logged_in(8700);
    browser.load(&mut world, "/oauth2/sign_out");
    assert_eq!(pieces(&browser), 0);
}
