//! Fills `{{name}}` in a YAML file. Every value is written as JSON, which is YAML too, so nothing
//! in a value can change the structure around it.

use serde_json::Value;

use crate::error::{Error, Result};

/// Replaces each `{{name}}` by the JSON of its value.
///
/// # Errors
/// A placeholder without a value, a value without a placeholder, or an unclosed `{{`.
pub fn fill(template: &str, values: &[(&str, Value)]) -> Result<String> {
    let mut filled = String::with_capacity(template.len());
    let mut used = Vec::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let (name, after) = after
            .split_once("}}")
            .ok_or_else(|| Error::new("a placeholder of the template is not closed"))?;
        let (name, value) = values.iter().find(|(known, _)| *known == name).ok_or_else(|| {
            Error::new(format!("the template wants {{{{{name}}}}}, unknown here"))
        })?;
        filled.push_str(&value.to_string());
        used.push(*name);
        rest = after;
    }
    filled.push_str(rest);
    match values.iter().find(|(name, _)| !used.contains(name)) {
        Some((name, _)) => Err(Error::new(format!("the template does not use {name}"))),
        None => Ok(filled),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_quoted_and_numbers_bare() {
        let values = [("port", json!(8443)), ("text", json!("a\"b: #\n{{port}}"))];
        let filled = fill("p: {{port}}\nt: {{text}}\n", &values).unwrap();
        assert_eq!(filled, "p: 8443\nt: \"a\\\"b: #\\n{{port}}\"\n");
    }

    #[test]
    fn both_kinds_of_mismatch_are_refused() {
        assert!(fill("{{other}}", &[("port", json!(1))]).is_err());
        assert!(fill("nothing", &[("port", json!(1))]).is_err());
        assert!(fill("{{port", &[("port", json!(1))]).is_err());
    }
}
