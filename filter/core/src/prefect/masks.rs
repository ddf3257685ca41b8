//! Masks for secrets that Prefect's responses contain without a request for them.
//!
//! Of block documents and their events, Prefect hides only the fields that the block's class
//! declares secret by a plain key. Of its settings, it hides only those of a secret type. A role
//! without access to secrets gets these responses without the values.

use serde_json::{Map, Value};

use crate::foundation::limits::MASKED_DEPTH;
use crate::identity::role::Role;
use crate::identity::role_set::RoleSet;
use crate::prefect::block_events;
use crate::prefect::operations::{Operation, SECRETS};

/// The values that are removed from a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mask {
    /// The data of block documents.
    BlockData,
    /// The payload of block document events. Sockets do not deliver such events at all.
    BlockEvents,
    /// All texts in the server's settings, since addresses and headers may contain passwords.
    Settings,
}

/// The operations whose responses are masked: method, path template and mask.
const MASKED: &[(&str, &str, Mask)] = &[
    ("GET", "/admin/settings", Mask::Settings),
    ("POST", "/block_documents/filter", Mask::BlockData),
    ("GET", "/block_documents/{id}", Mask::BlockData),
    ("GET", "/block_types/slug/{slug}/block_documents", Mask::BlockData),
    ("GET", "/block_types/slug/{slug}/block_documents/name/{block_document_name}", Mask::BlockData),
    ("POST", "/events/filter", Mask::BlockEvents),
    ("GET", "/events/filter/next", Mask::BlockEvents),
    ("SOCKET", "/events/out", Mask::BlockEvents),
];

/// Replaces a hidden text.
const HIDDEN: &str = "(visible to admins only)";

impl Mask {
    /// Returns the mask for the response to an operation, or `None` if the role may see all of it.
    #[must_use]
    pub(crate) fn of(operation: &Operation<'_>, role: Option<Role>) -> Option<Self> {
        let (.., mask) = MASKED.iter().find(|(m, t, _)| operation.is(m, t))?;
        let open = role.is_some_and(|role| mask.roles().include(role));
        (!open).then_some(*mask)
    }

    /// Returns the roles that get such a response unmasked.
    #[must_use]
    pub(crate) const fn roles(self) -> RoleSet {
        match self {
            Self::BlockData | Self::BlockEvents => SECRETS,
            Self::Settings => RoleSet::of(&[]),
        }
    }

    /// Returns a response body without the values.
    ///
    /// Returns `None` for a body that can't be parsed, which must not be forwarded.
    #[must_use]
    pub(crate) fn apply(self, body: &[u8]) -> Option<Vec<u8>> {
        let mut answer = crate::foundation::json::parse_nested(body, MASKED_DEPTH).ok()?;
        match self {
            Self::BlockData => without_data(&mut answer),
            Self::BlockEvents => block_events::without_payload(&mut answer),
            Self::Settings => without_texts(&mut answer),
        }
        serde_json::to_vec(&answer).ok()
    }
}

/// Empties the data of each block document. The parser limits the depth of the recursion.
fn without_data(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if members.contains_key("block_type_id") && members.contains_key("data") {
                members.insert("data".to_owned(), Value::Object(Map::new()));
            }
            members.values_mut().for_each(without_data);
        }
        Value::Array(items) => items.iter_mut().for_each(without_data),
        _ => {}
    }
}

/// Replaces all texts. The parser limits the depth of the recursion.
fn without_texts(value: &mut Value) {
    match value {
        Value::Object(members) => members.values_mut().for_each(without_texts),
        Value::Array(items) => items.iter_mut().for_each(without_texts),
        Value::String(text) => HIDDEN.clone_into(text),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use serde_json::json;

    use super::*;

    fn masked(mask: Mask, answer: &Value) -> Value {
        serde_json::from_slice(&mask.apply(answer.to_string().as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn block_documents_lose_their_data_at_any_depth() {
        let document = |data: Value| {
            json!({
                "id": "1", "name": "db", "block_type_id": "2", "data": data,
                "block_schema": {"fields": {"properties": {"data": {"type": "string"}}}},
                "block_document_references": {"inner": {"block_document": {
                    "name": "in", "block_type_id": "3", "data": {"planted": 1},
                }}},
            })
        };
        let answer = json!([
            document(json!({"value": {"password": "planted"}})),
            document(json!("planted"))
        ]);
        let masked = masked(Mask::BlockData, &answer);
        assert!(!masked.to_string().contains("planted"), "{masked}");
        assert_eq!(masked[0]["data"], json!({}));
        assert_eq!(masked[1]["name"], "db");
        assert_eq!(masked[0]["block_schema"]["fields"]["properties"]["data"]["type"], "string");
    }

    #[test]
    fn settings_keep_what_is_no_text() {
        let settings = json!({"server": {"docket": {"url": "redis://:planted@h"}, "port": 4200}, "on": true,
            "client": {"custom_headers": {"Authorization": "Bearer planted"}}, "list": ["planted"]});
        let masked = masked(Mask::Settings, &settings);
        assert!(!masked.to_string().contains("planted"), "{masked}");
        assert_eq!((&masked["server"]["port"], &masked["on"]), (&json!(4200), &json!(true)));
        assert_eq!(masked["client"]["custom_headers"]["Authorization"], HIDDEN);
    }

    #[test]
    fn what_cannot_be_read_is_nobody_s() {
        for body in ["", "[", "{\"data\":1,\"data\":2}", "\u{feff}[]", "planted"] {
            assert_eq!(Mask::BlockData.apply(body.as_bytes()), None, "{body}");
        }
    }
}
