//! Wrong passwords take the same time, whatever the name. Time is counted in instructions of the
//! built module, of which the compiler may have left something out.

use lictor_host::Module;
use serde_json::json;

use crate::world::{HTPASSWD, Request, World, basic, configuration};

/// A line whose check takes four times the rounds of that of [`HTPASSWD`].
const SLOWER: &str = "slow:$2y$06$abcdefghijklmnopqrstuuqEHtlaJCN3fSaLjbhzZmCKXPpkX8cpq";

#[test]
fn a_wrong_password_takes_the_same_time_with_any_name() {
    let module = Module::counted().unwrap_or_else(|cause| panic!("{cause}"));
    let mut settings = configuration();
    let line = |line| json!({"line": line, "role": "worker", "expires": "2099-01-01T00:00:00Z"});
    settings["machines"]["htpasswd"] = json!([line(HTPASSWD.1), line(SLOWER)]);
    settings["machines"]["client_credentials"] = json!(false);
    let mut world = World::configured_of(World::vm(&module), &settings.to_string());
    let mut took = |name: &str, password: &str| {
        let pair = basic(&format!("{name}:{password}"));
        let request = Request::new("GET", "/api/flows/1", &[("authorization", &pair)]);
        let before = world.vm.instructions();
        assert_eq!(world.answered(&request).expect("an answer").status(), 401);
        world.vm.instructions() - before
    };
    // The first refusal defines a metric.
    took("reports", "first");
    let [cheap, slow, nobody] = ["reports", "slow", "nobody"].map(|name| took(name, "guess"));
    let remembered = took("reports", "guess");
    assert!(remembered * 10 < cheap, "{remembered} and {cheap}: the check is too small a part");
    for other in [slow, nobody] {
        let ratio = cheap as f64 / other as f64;
        assert!((0.95..1.05).contains(&ratio), "{cheap}, {slow}, {nobody}");
    }
}
