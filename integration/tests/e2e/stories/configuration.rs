//! A wrong configuration never serves, and says everything at once.

use serde_json::json;

use super::{Story, story};
use crate::gateway::Plan;

const ABOUT: &str = "configuration";

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "every problem is named at once, and no secret", all_problems),
        story(ABOUT, "a protobuf Struct gets its own sentence", protobuf_struct),
        story(ABOUT, "secrets that are missing are named", missing_secrets),
        story(ABOUT, "the stack's own is accepted", accepted),
    ]
}

fn all_problems() {
    let mut plan = Plan::new("problems");
    plan.settings = |settings| {
        settings["public_url"] = "http://prefect.example.com".into();
        settings["issuer"] = "not a url".into();
        settings["sessions"] = json!({});
        settings["session"] = json!({ "idle": "soon", "absolute": 5 });
        settings["roles"] = json!({ "default": "god" });
        settings["machines"]["api_keys"][0]["sha256"] = "lk_planted-key-in-the-wrong-place".into();
        settings["idp"]["algorithms"] = json!(["RS256", "none"]);
        settings["idp"]["client_auth"] = "magic".into();
    };
    let (accepted, said) = plan.validate(|text| text);
    assert!(!accepted, "{said}");
    for path in [
        "$.public_url",
        "$.issuer",
        "$.sessions",
        "$.session.idle",
        "$.session.absolute",
        "$.roles.default",
        "$.machines.api_keys[0].sha256",
        "$.idp.algorithms",
        "$.idp.client_auth",
    ] {
        assert!(said.contains(path), "{path} is not named:\n{said}");
    }
    let secrets = &plan.secrets;
    for secret in [&secrets.client_secret, &secrets.cookie_key, &secrets.prefect_auth_string] {
        assert!(!said.contains(secret.as_str()), "a secret is shown");
    }
    assert!(!said.contains("lk_planted"), "{said}");
}

fn protobuf_struct() {
    let (accepted, said) = Plan::new("struct").validate(|text| {
        let kind = "type.googleapis.com/google.protobuf.StringValue";
        assert!(text.contains(kind));
        let start = text.find(kind).unwrap();
        let (before, after) = text.split_at(start);
        let (_, rest) = after.split_once("value: ").unwrap();
        let (_, rest) = rest.split_once('\n').unwrap();
        let own = "{ public_url: \"https://a.example\" }";
        let kind = "type.googleapis.com/google.protobuf.Struct";
        format!("{before}{kind}\n                  value: {own}\n{rest}")
    });
    assert!(!accepted);
    assert!(said.contains("google.protobuf.Struct") && said.contains("StringValue"), "{said}");
}

fn missing_secrets() {
    let mut plan = Plan::new("no-secrets");
    plan.secrets.client_secret = String::new();
    plan.secrets.cookie_key = "short".into();
    plan.secrets.prefect_auth_string = "planted-without-colon".into();
    let (accepted, said) = plan.validate(|text| text);
    assert!(!accepted);
    for name in ["LICTOR_CLIENT_SECRET", "LICTOR_COOKIE_KEYS", "LICTOR_PREFECT_AUTH_STRING"] {
        assert!(said.contains(name), "{name}: {said}");
    }
    assert!(!said.contains("planted-without-colon"), "{said}");
}

fn accepted() {
    let (accepted, said) = Plan::new("accepted").validate(|text| text);
    assert!(accepted, "{said}");
}
