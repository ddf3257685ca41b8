//! Events of block documents.
//!
//! Since Prefect 3.8 such an event contains the texts of its block, except those that the block's
//! class declares secret. Texts such as a URL may contain a password nevertheless. A role without
//! access to secrets gets these events without their payload, and over a socket it does not get
//! them at all.

use serde_json::{Map, Value};

/// Prefix of the names of block document events.
const PREFIX: &str = "prefect.block-document.";

/// Empties the payload of each block document event, at any depth of a response.
pub(super) fn without_payload(value: &mut Value) {
    match value {
        Value::Object(members) => {
            let name = members.get("event").and_then(Value::as_str);
            if name.is_some_and(|name| name.starts_with(PREFIX)) {
                members.insert("payload".to_owned(), Value::Object(Map::new()));
            }
            members.values_mut().for_each(without_payload);
        }
        Value::Array(items) => items.iter_mut().for_each(without_payload),
        _ => {}
    }
}

/// Returns the filter message of an `/events/out` client, changed to exclude block document events.
///
/// Returns `None` for any other message.
#[must_use]
pub(crate) fn filter_without(message: &[u8]) -> Option<String> {
    let mut message = crate::foundation::json::parse(message).ok()?;
    if message.get("type")? != "filter" {
        return None;
    }
    let filter = message.get_mut("filter")?.as_object_mut()?;
    let event = or_empty(filter, "event", Value::Object(Map::new())).as_object_mut()?;
    let excluded = or_empty(event, "exclude_prefix", Value::Array(Vec::new())).as_array_mut()?;
    excluded.push(PREFIX.into());
    Some(message.to_string())
}

/// Returns a member, which is set to `empty` if it is missing or null.
///
/// Prefect treats a missing member and null in the same way.
fn or_empty<'a>(members: &'a mut Map<String, Value>, name: &str, empty: Value) -> &'a mut Value {
    let member = members.entry(name).or_insert(Value::Null);
    if member.is_null() {
        *member = empty;
    }
    member
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_filter_has_one_wish_more() {
        for (event, wanted) in [
            (None, json!({"exclude_prefix": [PREFIX]})),
            (Some(Value::Null), json!({"exclude_prefix": [PREFIX]})),
            (
                Some(json!({"prefix": [PREFIX], "exclude_prefix": null})),
                json!({"prefix": [PREFIX], "exclude_prefix": [PREFIX]}),
            ),
            (
                Some(json!({"exclude_prefix": ["prefect.log"]})),
                json!({"exclude_prefix": ["prefect.log", PREFIX]}),
            ),
        ] {
            let mut message =
                json!({"type": "filter", "filter": {"id": {"id": ["1"]}}, "backfill": false});
            if let Some(event) = event {
                message["filter"]["event"] = event;
            }
            let rewritten = filter_without(message.to_string().as_bytes()).unwrap();
            message["filter"]["event"] = wanted;
            assert_eq!(serde_json::from_str::<Value>(&rewritten).unwrap(), message);
        }
    }

    #[test]
    fn what_is_no_filter_is_none() {
        for message in [
            "",
            "[]",
            r#"{"type":"filter"}"#,
            r#"{"type":"filter","filter":null}"#,
            r#"{"type":"filter","filter":[]}"#,
            r#"{"type":"filter","filter":{"event":[]}}"#,
            r#"{"type":"filter","filter":{"event":{"exclude_prefix":"x"}}}"#,
            r#"{"type":"filter","filter":{"event":{}},"filter":{}}"#,
            r#"{"type":"auth","filter":{}}"#,
        ] {
            assert_eq!(filter_without(message.as_bytes()), None, "{message}");
        }
    }

    #[test]
    fn only_events_of_blocks_are_emptied() {
        let event =
            |name: &str| json!({"event": name, "payload": {"data": {"url": "planted"}}, "id": 1});
        let names = ["prefect.block-document.created", "prefect.block-document.updated"];
        let mut answer = json!({"events": names.map(event), "total": 2, "next_page": null});
        without_payload(&mut answer);
        assert!(!answer.to_string().contains("planted"), "{answer}");
        assert_eq!(answer["events"][0]["id"], 1);
        let mut other = json!({"events": [event("prefect.flow-run.Completed")]});
        let before = other.clone();
        without_payload(&mut other);
        assert_eq!(other, before);
    }
}
