//! What the module asks of a host, against the list of what every supported Envoy offers.

use crate::world::MODULE;

const ALLOWED: &str = include_str!("../../../wasm/imports.txt");

#[test]
fn the_module_imports_nothing_beyond_the_list() {
    let (allowed, imports) = (ALLOWED.split_whitespace().collect::<Vec<_>>(), MODULE.imports());
    let beyond: Vec<_> = imports.iter().filter(|name| !allowed.contains(&name.as_str())).collect();
    assert!(beyond.is_empty(), "not in filter/wasm/imports.txt: {beyond:?}");
    // It decides by these, whatever else it imports.
    for name in ["proxy_get_header_map_pairs", "proxy_send_local_response", "proxy_continue_stream"]
    {
        assert!(imports.contains(&format!("env.{name}")), "{name} is not imported: {imports:?}");
    }
}
