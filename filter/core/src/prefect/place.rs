//! The meaning of a request target to Prefect.
//!
//! Only this module interprets a target. Roles, Prefect's credential, rewriting and response
//! headers all use its result, so that they can't disagree.

use crate::config::Config;
use crate::wire::http::target::Target;

/// The part of Prefect that a target belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    area: Area<'a>,
    content: Content,
    /// Whether the path is spelled without escapes.
    unescaped: bool,
    /// Whether the path lies below the API's prefix both before and after decoding its escapes.
    plainly_api: bool,
    query: &'a str,
}

/// An area of Prefect by path prefix. Escapes in the path are decoded, as in Prefect's router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Area<'a> {
    /// The API: the path below its prefix, empty or with a leading slash.
    Api(&'a str),
    /// The UI: the path below its prefix, without a leading slash.
    Ui(&'a str),
    /// A path outside both prefixes.
    Elsewhere,
}

/// The kind of content at a target, as far as response headers depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// A file with its hash in its name, which is the same for every client.
    Asset,
    /// An interactive API description, whose page loads scripts from other sites.
    Description,
    /// Anything else.
    Other,
}

impl<'a> Place<'a> {
    /// Interprets a target according to the configured prefixes.
    #[must_use]
    pub(crate) fn of(target: &'a Target<'a>, config: &Config) -> Self {
        let path = target.decoded();
        let api = path.strip_prefix(&config.prefect.api_path);
        let api = api.filter(|rest| rest.starts_with('/') || rest.is_empty());
        let area = match (api, path.strip_prefix(&config.prefect.ui_path)) {
            (Some(rest), _) => Area::Api(rest),
            (None, Some(rest)) => Area::Ui(rest),
            (None, None) => Area::Elsewhere,
        };
        Self {
            area,
            content: content(path, config),
            unescaped: target.path() == path,
            plainly_api: below(target.path(), config) && below(path, config),
            query: target.query().unwrap_or_default(),
        }
    }

    #[must_use]
    pub(crate) const fn area(&self) -> Area<'a> {
        self.area
    }

    #[must_use]
    pub(crate) const fn content(&self) -> Content {
        self.content
    }

    /// Returns the query, or an empty string without one.
    #[must_use]
    pub(crate) const fn query(&self) -> &'a str {
        self.query
    }

    /// Returns the path below the API's prefix, if it is spelled as in Prefect's API description.
    ///
    /// Such a path has no escapes and no trailing slash.
    #[must_use]
    pub(crate) fn as_described(&self) -> Option<&'a str> {
        match self.area {
            Area::Api(path) if self.unescaped && !path.ends_with('/') => Some(path),
            _ => None,
        }
    }

    /// Returns whether a request for this place gets Prefect's credential.
    ///
    /// Only the API gets it. A prefix that is spelled with escapes does not get it, and Prefect
    /// answers such a request with 401.
    #[must_use]
    pub(crate) const fn takes_credential(&self) -> bool {
        self.plainly_api
    }

    /// Returns whether this is the UI's settings document.
    #[must_use]
    pub(crate) fn is_ui_settings(&self) -> bool {
        self.area == Area::Ui("ui-settings")
    }

    /// Returns whether this may be a page of the UI.
    #[must_use]
    pub(crate) const fn may_be_page(&self) -> bool {
        matches!(self.area, Area::Ui(_))
    }
}

/// Returns whether a path lies below the API's prefix.
fn below(path: &str, config: &Config) -> bool {
    path.strip_prefix(&config.prefect.api_path).is_some_and(|rest| rest.starts_with('/'))
}

fn content(path: &str, config: &Config) -> Content {
    let below = |base: &str| path.strip_prefix(base).map(|rest| rest.trim_matches('/'));
    let described = |rest: &str| matches!(rest, "docs" | "docs/oauth2-redirect" | "redoc");
    let bases = ["/", &config.prefect.ui_path, &config.prefect.api_path];
    if bases.into_iter().filter_map(below).any(described) {
        Content::Description
    } else if path.contains("/assets/") {
        Content::Asset
    } else {
        Content::Other
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::config::example::config;

    /// Target, area, whether it gets Prefect's credential, and whether it is spelled as described.
    const TARGETS: &[(&str, Area<'static>, bool, bool)] = &[
        ("/api/flows/filter", Area::Api("/flows/filter"), true, true),
        ("/api/flows/filter?x=/ui-settings", Area::Api("/flows/filter"), true, true),
        ("/api/flows/filter/", Area::Api("/flows/filter/"), true, false),
        ("/api/flow%73/filter", Area::Api("/flows/filter"), true, false),
        ("/api", Area::Api(""), false, true),
        ("/api/", Area::Api("/"), true, false),
        ("/%61pi/flows/filter", Area::Api("/flows/filter"), false, false),
        ("/apis/flows", Area::Ui("apis/flows"), false, false),
        ("/API/flows", Area::Ui("API/flows"), false, false),
        ("/ui-settings", Area::Ui("ui-settings"), false, false),
        ("/%75i-settings", Area::Ui("ui-settings"), false, false),
        ("/", Area::Ui(""), false, false),
        ("/v2/runs", Area::Ui("v2/runs"), false, false),
    ];

    #[test]
    fn a_target_has_one_reading() {
        let config = config();
        for (text, area, credential, described) in TARGETS {
            let target = Target::parse(text.as_bytes()).unwrap();
            let place = Place::of(&target, &config);
            assert_eq!(place.area(), *area, "{text}");
            assert_eq!(place.takes_credential(), *credential, "{text}");
            assert_eq!(place.as_described().is_some(), *described, "{text}");
            assert!(!(place.takes_credential() && place.may_be_page()), "{text}");
        }
    }

    #[test]
    fn api_descriptions_are_told_from_pages() {
        let config = config();
        let content = |path: &str| {
            let target = Target::parse(path.as_bytes()).unwrap();
            Place::of(&target, &config).content()
        };
        for path in ["/docs", "/redoc", "/api/docs", "/api/redoc/", "/docs/oauth2-redirect"] {
            assert_eq!(content(path), Content::Description, "{path}");
        }
        for path in ["/", "/v2/", "/openapi.json", "/flows/docs", "/api/flows/1"] {
            assert_eq!(content(path), Content::Other, "{path}");
        }
        assert_eq!(content("/v2/assets/index-1.js"), Content::Asset);
    }
}
