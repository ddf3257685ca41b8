//! A reader of JSON objects that collects all problems, where serde would stop at the first.
//!
//! Most of its functions are not inlined. Each copy would make the module larger, and settings are
//! read once.

use core::time::Duration;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::error::Problem;
use super::url::normal_authority;

type Problems = Rc<RefCell<Vec<Problem>>>;

/// One object of the configuration.
///
/// It records which members are read. [`Section::finish`] reports all others as unknown.
pub(crate) struct Section<'a> {
    path: String,
    members: Option<&'a Map<String, Value>>,
    known: RefCell<BTreeSet<&'static str>>,
    problems: Problems,
}

impl<'a> Section<'a> {
    /// Creates the section of the whole configuration.
    pub(crate) fn root(value: &'a Value, problems: &Problems) -> Self {
        Self::new("$".to_owned(), Some(value), problems)
    }

    #[inline(never)]
    fn new(path: String, value: Option<&'a Value>, problems: &Problems) -> Self {
        let members = value.and_then(Value::as_object);
        let section =
            Self { path, members, known: RefCell::default(), problems: Rc::clone(problems) };
        if let (None, Some(value)) = (members, value) {
            section.add(section.path.clone(), &describe(value), "an object");
        }
        section
    }

    #[inline(never)]
    fn add(&self, path: String, found: &str, wanted: &str) {
        let problem = Problem { path, found: found.to_owned(), wanted: wanted.to_owned() };
        self.problems.borrow_mut().push(problem);
    }

    #[inline(never)]
    fn value(&self, name: &'static str) -> Option<&'a Value> {
        self.known.borrow_mut().insert(name);
        self.members?.get(name)
    }

    /// Returns the JSON path of a member.
    #[inline(never)]
    pub(crate) fn path_of(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    /// Returns whether the object has a member.
    pub(crate) fn has(&self, name: &'static str) -> bool {
        self.value(name).is_some()
    }

    /// Reports a problem with a member of this object.
    #[inline(never)]
    pub(crate) fn problem(&self, name: &str, found: &str, wanted: &str) {
        self.add(self.path_of(name), found, wanted);
    }

    /// Reads a member that is an object. If it is absent, the section is empty.
    #[inline(never)]
    pub(crate) fn section(&self, name: &'static str) -> Section<'a> {
        Section::new(self.path_of(name), self.value(name), &self.problems)
    }

    /// Reads a member that is an object; `None` if it is absent.
    #[inline(never)]
    pub(crate) fn optional(&self, name: &'static str) -> Option<Section<'a>> {
        let value = self.value(name)?;
        Some(Section::new(self.path_of(name), Some(value), &self.problems))
    }

    /// Reads a member that is an object or a boolean.
    ///
    /// `None` for `false`. `true` is an empty section. An absent member is what `default` is.
    #[inline(never)]
    pub(crate) fn switch(&self, name: &'static str, default: bool) -> Option<Section<'a>> {
        let path = self.path_of(name);
        match self.value(name) {
            None if !default => None,
            Some(Value::Bool(false)) => None,
            None | Some(Value::Bool(true)) => Some(Section::new(path, None, &self.problems)),
            value @ Some(Value::Object(_)) => Some(Section::new(path, value, &self.problems)),
            Some(other) => {
                self.problem(name, &describe(other), "true, false or an object");
                None
            }
        }
    }

    /// Reads a member that is an array of host names. `https` tells their default port.
    #[inline(never)]
    pub(crate) fn hosts(&self, name: &'static str, https: bool) -> Vec<String> {
        let hosts = self.texts(name, &[]).into_iter().filter_map(|text| {
            let host = normal_authority(&text, https);
            if host.is_none() {
                let wanted = "host names, each with its port if it is not the default";
                self.problem(name, &quote(&text), wanted);
            }
            host
        });
        hosts.collect()
    }

    /// Reads a member that is an array of objects. If it is absent, the list is empty.
    #[inline(never)]
    pub(crate) fn sections(&self, name: &'static str) -> Vec<Section<'a>> {
        let Some(value) = self.value(name) else { return Vec::new() };
        let Some(items) = value.as_array() else {
            self.problem(name, &describe(value), "an array of objects");
            return Vec::new();
        };
        let section = |(at, item)| {
            Section::new(format!("{}[{at}]", self.path_of(name)), Some(item), &self.problems)
        };
        items.iter().enumerate().map(section).collect()
    }

    /// Reads a string that is not empty; `None` if it is absent.
    #[inline(never)]
    pub(crate) fn text(&self, name: &'static str) -> Option<&'a str> {
        let value = self.value(name)?;
        let text = value.as_str().filter(|text| !text.is_empty());
        if text.is_none() {
            self.problem(name, &describe(value), "a string that is not empty");
        }
        text
    }

    /// Reads a string that is required, and reports its absence.
    #[inline(never)]
    pub(crate) fn required(&self, name: &'static str) -> Option<&'a str> {
        if self.value(name).is_none() && self.members.is_some() {
            self.problem(name, "nothing", "a string (this setting is required)");
        }
        self.text(name)
    }

    /// Reads a boolean with a default.
    #[inline(never)]
    pub(crate) fn flag(&self, name: &'static str, default: bool) -> bool {
        match self.value(name) {
            None => default,
            Some(Value::Bool(flag)) => *flag,
            Some(other) => {
                self.problem(name, &describe(other), "true or false");
                default
            }
        }
    }

    /// Reads an array of strings with a default.
    #[inline(never)]
    pub(crate) fn texts(&self, name: &'static str, default: &[&str]) -> Vec<String> {
        let Some(value) = self.value(name) else {
            return default.iter().map(|text| (*text).to_owned()).collect();
        };
        let texts = value.as_array().map(|items| {
            items.iter().map(|item| item.as_str().filter(|t| !t.is_empty()).map(str::to_owned))
        });
        match texts.and_then(Iterator::collect) {
            Some(texts) => texts,
            None => {
                self.problem(name, &describe(value), "an array of strings that are not empty");
                Vec::new()
            }
        }
    }

    /// Reads an object whose members are strings. If it is absent, the list is empty.
    #[inline(never)]
    pub(crate) fn pairs(&self, name: &'static str) -> Vec<(String, String)> {
        let Some(value) = self.value(name) else { return Vec::new() };
        let Some(members) = value.as_object() else {
            self.problem(name, &describe(value), "an object of strings");
            return Vec::new();
        };
        let mut pairs = Vec::new();
        for (key, value) in members {
            match value.as_str() {
                Some(text) => pairs.push((key.clone(), text.to_owned())),
                None => {
                    self.add(format!("{}.{key}", self.path_of(name)), &describe(value), "a string")
                }
            }
        }
        pairs
    }

    /// Reads an object whose members are strings or arrays of strings. If it is absent, the list is
    /// empty.
    #[inline(never)]
    pub(crate) fn members(&self, name: &'static str) -> Vec<(String, Vec<String>)> {
        let Some(value) = self.value(name) else { return Vec::new() };
        let Some(members) = value.as_object() else {
            self.problem(name, &describe(value), "an object");
            return Vec::new();
        };
        let mut read = Vec::new();
        for (key, value) in members {
            let one = value.as_str().map(|text| vec![text.to_owned()]);
            let many = || {
                let texts = value.as_array()?.iter().map(|v| v.as_str().map(str::to_owned));
                texts.collect::<Option<Vec<_>>>().filter(|texts| !texts.is_empty())
            };
            match one.or_else(many) {
                Some(values) => read.push((key.clone(), values)),
                None => {
                    let wanted = "a string or an array of strings";
                    self.add(format!("{}.{key}", self.path_of(name)), &describe(value), wanted);
                }
            }
        }
        read
    }

    /// Reads a duration such as `30m`, with a default.
    #[inline(never)]
    pub(crate) fn duration(&self, name: &'static str, default: Duration) -> Duration {
        let Some(value) = self.value(name) else { return default };
        match value.as_str().and_then(duration) {
            Some(duration) => duration,
            None => {
                let wanted =
                    "a duration: a whole number above 0 with a unit (s, m, h, d), such as \"30m\"";
                self.problem(name, &describe(value), wanted);
                default
            }
        }
    }

    /// Reads a time in UTC, such as `2026-11-24T10:00:00Z` (RFC 3339); `None` if it is absent.
    #[inline(never)]
    pub(crate) fn instant(&self, name: &'static str) -> Option<crate::foundation::time::UnixTime> {
        let value = self.value(name)?;
        let instant = value.as_str().and_then(super::instant::parse);
        if instant.is_none() {
            self.problem(name, &describe(value), "a time in UTC such as \"2026-11-24T10:00:00Z\"");
        }
        instant
    }

    /// Reports all members that have not been read as unknown settings.
    #[inline(never)]
    pub(crate) fn finish(&self) {
        let known = self.known.borrow();
        for name in self.members.into_iter().flat_map(Map::keys) {
            if !known.contains(name.as_str()) {
                let list: Vec<_> = known.iter().copied().collect();
                self.problem(name, "an unknown setting", &format!("one of: {}", list.join(", ")));
            }
        }
    }
}

fn duration(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86400,
        _ => return None,
    };
    // At most a hundred years: more is a mistake, and sums stay far from overflow.
    let total = number.checked_mul(seconds).filter(|t| (1..=3_155_760_000).contains(t))?;
    Some(Duration::from_secs(total))
}

/// Describes a value for a problem: short, and without control characters.
pub(crate) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => quote(text),
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// Quotes a text for a problem: cut to 80 characters, and without control characters.
pub(crate) fn quote(text: &str) -> String {
    let shown: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
    let more = if shown.len() < text.len() { "…" } else { "" };
    format!("\"{shown}{more}\"")
}
