//! Suites written by others, and the table of every claim: one line a suite, `name passed/total`.
//! `make conformance` runs them on the host, as wasm and inside Envoy, and compares with what
//! `docs/conformance.md` records.

mod claim_matrix;
mod json_parsing;
mod primitives;
mod wycheproof;

/// Says a suite's figures, and holds them to what is known to be right.
#[track_caller]
fn report(suite: &str, passed: usize, total: usize, wanted: usize) {
    let place = if cfg!(target_family = "wasm") { "wasm" } else { "host" };
    let line = format!("conformance: {suite} ({place}) {passed}/{total}");
    #[cfg(target_family = "wasm")]
    wasm_bindgen_test::console_log!("{line}");
    #[cfg(not(target_family = "wasm"))]
    println!("{line}");
    assert_eq!(passed, wanted, "{suite}: {passed} of {total}");
}
