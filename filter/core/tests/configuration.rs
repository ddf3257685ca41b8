//! A configuration is compiled whole, or every problem in it is told at once.

use crate::config::Config;
use crate::testing::{configuration, environment};
use serde_json::{Value, json};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn problems(text: &[u8], environment: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let errors = Config::compile(text, environment).expect_err("a problem");
    errors.0.iter().map(ToString::to_string).collect()
}

fn with(patch: &[(&str, Value)]) -> String {
    let mut value = configuration();
    for (pointer, new) in patch {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = match parent {
            "" => &mut value,
            parent => {
                let first = parent.trim_start_matches('/');
                if value.get(first).is_none() {
                    value[first] = json!({});
                }
                &mut value[first]
            }
        };
        parent[name] = new.clone();
    }
    value.to_string()
}

#[test]
fn three_settings_are_enough() {
    let text = json!({"public_url": "https://p.example", "issuer": "https://i.example/realms/r", "client_id": "prefect"});
    let config = Config::compile(text.to_string().as_bytes(), &environment).unwrap();
    assert_eq!(config.audiences(), ["prefect"]);
    assert_eq!(config.redirect_uri(), "https://p.example/oauth2/callback");
    assert_eq!(config.public_paths, ["/api/health", "/api/ready"]);
    assert_eq!(config.session.recheck.as_secs(), 300);
}

#[test]
fn every_problem_is_told_at_once_with_its_path() {
    let text = json!({
        "public_url": "http://prefect.example.com",
        "issuer": "sso.example.com",
        "clientid": "prefect",
        "session": {"idle": 30, "absolute": "10", "recheck": "0s"},
        "machines": {"api_keys": [{"name": "a", "sha256": "lk_secret-key", "role": "root"}], "bearer": "yes"},
        "idp": {"client_auth": "jwt", "algorithms": ["HS256", "none"], "scopes": "email", "extra_auth_params": {"state": "x"}},
        "roles": {"viewer": "v"},
        "public_paths": ["/api/.*?"],
    });
    let all = problems(text.to_string().as_bytes(), &|_| None).join("\n");
    for path in [
        "$.public_url",
        "$.issuer",
        "$.client_id",
        "$.clientid",
        "$.session.idle",
        "$.session.absolute",
        "$.session.recheck",
        "$.machines.api_keys[0].sha256",
        "$.machines.api_keys[0].role",
        "$.machines.bearer",
        "$.idp.client_auth",
        "$.idp.algorithms",
        "$.idp.scopes",
        "$.idp.extra_auth_params",
        "$.roles.viewer",
        "$.public_paths",
        "LICTOR_CLIENT_SECRET",
        "LICTOR_COOKIE_KEYS",
        "LICTOR_PREFECT_AUTH_STRING",
    ] {
        assert!(all.contains(&format!("{path}: found ")), "{path} in\n{all}");
    }
    assert!(!all.contains("secret-key"), "a key in the wrong place is not repeated:\n{all}");
}

#[test]
fn values_of_secrets_are_never_told() {
    let wrong = |name: &str| Some(format!("planted-{name}"));
    let all = problems(configuration().to_string().as_bytes(), &wrong).join("\n");
    assert!(all.contains("LICTOR_COOKIE_KEYS") && all.contains("LICTOR_PREFECT_AUTH_STRING"));
    assert!(!all.contains("planted"), "{all}");
}

#[test]
fn what_is_no_json_object_is_refused_with_a_reason() {
    for (text, wanted) in [
        (b"".as_slice(), "the configuration"),
        (b"{", "ends early"),
        (b"[]", "an object"),
        (br#"{"issuer":"a","issuer":"b"}"#, "twice"),
        (b"\n\x1d\n\npublic_url\x12\x0f\x1a\rhttps://p.com", "google.protobuf.StringValue"),
        (b"\xff", "UTF-8"),
    ] {
        let all = problems(text, &environment).join("\n");
        assert!(all.contains(wanted), "{all}");
    }
}

#[test]
fn limits_of_single_settings() {
    let key = |name: &str| json!([{"name": name, "sha256": "0".repeat(64), "role": "worker"}]);
    for (pointer, value, good) in [
        ("/public_url", json!("http://prefect.localhost:8080"), true),
        ("/public_url", json!("http://127.0.0.1:8080"), true),
        ("/public_url", json!("https://u:p@h"), false),
        ("/public_url", json!("https://h?x"), false),
        ("/session/not_before", json!("2026-11-24T10:00:00Z"), true),
        ("/session/not_before", json!("yesterday"), false),
        ("/session/idle", json!("11h"), false),
        ("/prefect/api_path", json!("/prefect/api"), true),
        ("/prefect/api_path", json!("/api/"), false),
        ("/prefect/ui_path", json!("/"), true),
        ("/endpoints/prefix", json!("/"), false),
        ("/endpoints/prefix", json!("/lictor"), true),
        ("/idp/algorithms", json!(["RS256"]), true),
        ("/audiences", json!([]), false),
        ("/client_id", json!(""), false),
        ("/machines/hosts", json!(["a b"]), false),
        ("/machines/personal_tokens", json!({}), true),
        ("/machines/personal_tokens", json!(false), true),
        ("/machines/personal_tokens", json!("on"), false),
        ("/machines/personal_tokens", json!({"max": "8h", "role": "viewer"}), true),
        ("/machines/personal_tokens", json!({"max": 8}), false),
        ("/machines/personal_tokens", json!({"role": "root"}), false),
        ("/machines/personal_tokens", json!({"revoked": ["AAAAAAAAAAAAAAAAAAAAAA"]}), true),
        ("/machines/personal_tokens", json!({"revoked": ["lt_x"]}), false),
        ("/machines/client_credentials", json!({"clients": ["prefect-*"]}), true),
        ("/machines/client_credentials", json!({"clients": ["*a*"]}), false),
        ("/machines/client_credentials", json!({"client": []}), false),
        ("/machines/htpasswd", json!([]), true),
        ("/machines/htpasswd", json!({"etl": "x"}), false),
        ("/machines/api_keys", key("etl"), true),
        ("/machines/api_keys", key("prefect-auth-string"), false),
    ] {
        let result = Config::compile(with(&[(pointer, value.clone())]).as_bytes(), &environment);
        assert_eq!(result.is_ok(), good, "{pointer} {value}: {:?}", result.err());
    }
}

#[test]
fn a_path_prefix_moves_everything() {
    let config = Config::compile(
        with(&[("/public_url", json!("https://p.example/prefect/"))]).as_bytes(),
        &environment,
    )
    .unwrap();
    assert_eq!(config.redirect_uri(), "https://p.example/prefect/oauth2/callback");
    assert_eq!((config.prefect.api_path.as_str(), config.home()), ("/prefect/api", "/prefect/"));
}

#[test]
fn cookie_keys_are_counted_and_measured() {
    let keys = |text: &str| {
        let text = text.to_owned();
        Config::compile(configuration().to_string().as_bytes(), &move |name| {
            if name == "LICTOR_COOKIE_KEYS" { Some(text.clone()) } else { environment(name) }
        })
    };
    let one = crate::testing::COOKIE_KEY;
    assert_eq!(keys(&format!("{one}, {one}")).unwrap().secrets.cookie_keys.len(), 2);
    for bad in ["", ",", "short", &format!("{one},"), &format!("{one}="), &one[1..]] {
        assert!(keys(bad).is_err(), "{bad}");
    }
}

/// The sections of the configuration, each as a text with one unknown member in it.
const SECTIONS: &[(&str, &str)] = &[
    ("", r#"{"x?": 1}"#),
    ("idp", r#"{"idp": {"x?": 1}}"#),
    ("roles", r#"{"roles": {"x?": 1}}"#),
    ("users", r#"{"users": {"x?": 1}}"#),
    ("users.allow", r#"{"users": {"allow": {"x?": 1}}}"#),
    ("session", r#"{"session": {"x?": 1}}"#),
    ("machines", r#"{"machines": {"x?": 1}}"#),
    ("machines.client_credentials", r#"{"machines": {"client_credentials": {"x?": 1}}}"#),
    ("machines.introspection", r#"{"machines": {"introspection": {"x?": 1}}}"#),
    ("machines.personal_tokens", r#"{"machines": {"personal_tokens": {"x?": 1}}}"#),
    ("machines.issuers[]", r#"{"machines": {"issuers": [{"x?": 1}]}}"#),
    ("machines.api_keys[]", r#"{"machines": {"api_keys": [{"x?": 1}]}}"#),
    ("machines.htpasswd[]", r#"{"machines": {"htpasswd": [{"x?": 1}]}}"#),
    ("machines.certificates[]", r#"{"machines": {"certificates": [{"x?": 1}]}}"#),
    ("websockets", r#"{"websockets": {"x?": 1}}"#),
    ("prefect", r#"{"prefect": {"x?": 1}}"#),
    ("ui", r#"{"ui": {"x?": 1}}"#),
    ("endpoints", r#"{"endpoints": {"x?": 1}}"#),
];

/// The names that the reader knows in a section, as its own message lists them.
fn known(text: &str) -> Vec<String> {
    let errors = Config::compile(text.as_bytes(), &environment).unwrap_err().to_string();
    let line = errors.lines().find(|line| line.contains("x?")).expect("an unknown setting");
    let (_, names) = line.split_once("one of: ").expect("the known ones");
    names.trim_end_matches('"').split(", ").map(str::to_owned).collect()
}

/// docs/configuration.md against the reader, in both directions.
#[test]
fn every_setting_is_documented_and_every_documented_one_is_read() {
    let page = include_str!("../../../docs/configuration.md");
    let issuers = include_str!("../../../docs/machines.md");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let sections: Vec<&str> = SECTIONS.iter().map(|(section, _)| *section).collect();
    let mut documented = 0;
    for (section, text) in SECTIONS {
        for name in known(text) {
            let path = if section.is_empty() { name.clone() } else { format!("{section}.{name}") };
            let is_section = sections.iter().any(|own| own.trim_end_matches("[]") == path);
            let described = rows.iter().any(|row| {
                let own = row.contains(&format!("`{path}`"));
                // `session.idle`, `.absolute`; the members of a list or object stand in its row.
                let beside = row.starts_with(&format!("| `{section}"))
                    && [format!("`.{name}`"), format!("`{name}`"), format!("\"{name}\"")]
                        .iter()
                        .any(|text| row.contains(text));
                own || beside
            });
            // Issuers have a table of their own.
            let described = described
                || *section == "machines.issuers[]"
                    && issuers.lines().any(|line| {
                        line.starts_with("| `")
                            && line.split('|').nth(1).unwrap().contains(&format!("`{name}`"))
                    });
            assert!(described || is_section, "{path} is not in docs/configuration.md");
            documented += usize::from(described);
        }
    }
    assert!(documented > 50, "{documented}");
    for row in rows {
        let cell = row.split('|').nth(1).unwrap();
        let Some(name) = cell.split('`').nth(1).filter(|name| !name.starts_with("LICTOR_")) else {
            continue;
        };
        let name = name.trim_end_matches("[]");
        let (section, member) = name.rsplit_once('.').unwrap_or(("", name));
        let (_, text) = SECTIONS.iter().find(|(own, _)| *own == section).expect(section);
        assert!(known(text).iter().any(|own| own == member), "{name} is not read");
    }
}

/// docs/moving names settings in the second column of its tables.
#[test]
fn the_guides_name_settings_that_exist() {
    let guides = [include_str!("../../../docs/moving/oauth2-proxy.md")];
    let page = include_str!("../../../docs/configuration.md");
    let mut named = 0;
    for row in guides.iter().flat_map(|guide| guide.lines()).filter(|line| line.starts_with("| `"))
    {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 5, "{row}");
        if cells[2] == "–" {
            continue;
        }
        let name = cells[2].trim_matches('`');
        // `session.idle`, `.absolute` share a row.
        let (section, member) = name.rsplit_once('.').unwrap_or(("", name));
        let is_listed = page.lines().any(|line| {
            let cell = line.split('|').nth(1).unwrap_or_default();
            let beside = !section.is_empty() && cell.contains(&format!("`{section}."));
            cell.contains(&format!("`{name}`")) || beside && cell.contains(&format!("`.{member}`"))
        });
        assert!(is_listed, "{name} is no setting: {row}");
        named += 1;
    }
    assert!(named > 20, "{named}");
}
