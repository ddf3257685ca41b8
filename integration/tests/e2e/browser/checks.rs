//! What a page is like for people: looked at, measured, used by keyboard.

use std::fs;
use std::sync::OnceLock;

use lictor_integration::cache::Cache;
use lictor_integration::npm;
use serde_json::{Value, json};

use super::{Browser, block};
use crate::world::{progress, world};

/// axe-core's script.
fn axe() -> &'static str {
    static SCRIPT: OnceLock<String> = OnceLock::new();
    SCRIPT.get_or_init(|| {
        let cache = Cache::of_user().unwrap_or_else(|e| panic!("{e}"));
        let file = npm::axe(&world().layout, &cache, &progress()).unwrap_or_else(|e| panic!("{e}"));
        fs::read_to_string(file).unwrap()
    })
}

impl Browser {
    /// The size of what a page is shown in, in CSS pixels.
    pub fn size(&self, width: u32, height: u32) {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.cdp("Emulation.setDeviceMetricsOverride", &size);
    }

    /// The browser's own size again.
    pub fn own_size(&self) {
        self.cdp("Emulation.clearDeviceMetricsOverride", &json!({}));
    }

    /// Whether pages may run scripts.
    pub fn allow_scripts(&self, allowed: bool) {
        self.cdp("Emulation.setScriptExecutionDisabled", &json!({ "value": !allowed }));
    }

    /// One press of a key that moves, acts or leaves: `Tab`, `Enter`, `Escape`.
    pub fn press(&self, key: &str) {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            "Escape" => (27, ""),
            other => panic!("no key {other}"),
        };
        let event = |kind: &str| json!({ "type": kind, "key": key, "code": key, "text": text, "windowsVirtualKeyCode": code });
        self.cdp(
            "Input.dispatchKeyEvent",
            &event(if text.is_empty() { "rawKeyDown" } else { "keyDown" }),
        );
        self.cdp("Input.dispatchKeyEvent", &event("keyUp"));
    }

    /// A click of the mouse at a point of the window.
    pub fn click_at(&self, x: f64, y: f64) {
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
            self.cdp("Input.dispatchMouseEvent", &event);
        }
    }

    /// Types into what has the focus.
    pub fn type_text(&self, text: &str) {
        self.cdp("Input.insertText", &json!({ "text": text }));
    }

    /// What axe-core objects to, and what it could not decide: one line each. The policy of our
    /// pages forbids scripts; one that the driver runs is none of the page's.
    #[track_caller]
    pub fn axe_findings(&self) -> Vec<String> {
        let script = format!(
            "{}; const done = arguments[arguments.length - 1]; \
             const told = list => list.map(f => f.id + ': ' + f.help + ' ' + f.nodes.map(n => n.html).join(' ')); \
             axe.run(document, {{ rules: {{ 'target-size': {{ enabled: true }} }} }}).then(\
             r => done([r.passes.length, ...told(r.violations), ...told(r.incomplete)]), \
             e => done([0, 'axe failed: ' + e]));",
            axe()
        );
        let told = block(self.client.execute_async(&script, Vec::new())).unwrap();
        let told = told.as_array().unwrap();
        assert!(told[0].as_u64() > Some(5), "axe has looked at nothing: {told:?}");
        told.iter().skip(1).map(Value::to_string).collect()
    }

    /// Goes through the page by Tab; the texts of what gets the focus, in that order. Each must
    /// show that it has it.
    #[track_caller]
    pub fn tab_through(&self) -> Vec<String> {
        // Tab goes on from where the focus was last.
        self.script(
            "const b = document.body; b.tabIndex = -1; b.focus(); b.blur(); b.removeAttribute('tabindex')",
        );
        let mut order = Vec::new();
        for _ in 0..20 {
            self.press("Tab");
            let told = self.script(
                "const e = document.activeElement; if (!e || e === document.body) return null; \
                 const s = getComputedStyle(e); return [e.innerText, \
                 e.matches(':focus-visible') && s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2]",
            );
            // From the end of a page Tab leads out of it, and the next one in again.
            let Some(text) = told[0].as_str() else {
                if order.is_empty() {
                    continue;
                }
                break;
            };
            assert_eq!(told[1], true, "the focus on {text:?} is not seen");
            if order.first().is_some_and(|first| first == text) {
                break;
            }
            order.push(text.to_owned());
        }
        order
    }
}
