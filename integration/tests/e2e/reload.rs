//! Settings that come from a file (ECDS), so that they can be replaced while Envoy serves.

use std::fs;
use std::path::PathBuf;

use lictor_integration::envoy;
use lictor_integration::layout::Layout;
use serde_json::Value;

use crate::gateway::{Gateway, lay_over};
use crate::world::world;

const BEGIN: &str = "          - name: lictor\n            typed_config:\n";
const END: &str = "          - name: envoy.filters.http.buffer\n";

fn file(layout: &Layout) -> PathBuf {
    layout.state.join("lictor-ecds.yaml")
}

/// Writes the filter into a file of its own; gives Envoy's configuration that reads it there.
pub fn split(layout: &Layout, text: &str) -> String {
    let (before, rest) = text.split_once(BEGIN).expect("the filter");
    let (filter, after) = rest.split_once(END).expect("what stands behind it");
    let resource = format!(
        "resources:\n- \"@type\": type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig\n  \
         name: lictor\n  typed_config:\n{filter}"
    );
    // Envoy looks at files that are moved into place.
    let new = file(layout).with_extension("new");
    fs::write(&new, resource).unwrap();
    fs::rename(&new, file(layout)).unwrap();
    let path = file(layout).display().to_string();
    format!(
        "{before}          - name: lictor\n            config_discovery:\n              \
         config_source: {{ path_config_source: {{ path: {path} }} }}\n              \
         type_urls: [type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm]\n{END}{after}"
    )
}

impl Gateway {
    /// Lays settings over the gateway's own, while it serves.
    pub fn reconfigure(&self, patch: &Value) {
        let mut settings = self.plan.lictor(&self.layout);
        lay_over(&mut settings, patch);
        let world = world();
        let text = envoy::render(&self.layout, &settings, &world.module, &world.pki);
        split(&self.layout, &text.unwrap_or_else(|e| panic!("{e}")));
    }
}
