//! Keycloak's login form by plain HTTP: what a person does at the provider.

use lictor_integration::layout::KEYCLOAK_HOST;
use url::Url;

use crate::canary;
use crate::client::Request;
use crate::cookie_client::CookieClient;
use crate::http1::Answer;
use crate::world::{password, world};

/// Logs somebody in who asks for a path of Prefect's; gives the answer to the callback.
#[track_caller]
pub fn log_in(visitor: &mut CookieClient, path: &str, user: &str) -> Answer {
    let asked = visitor.navigate(path).expect(302);
    let callback = authenticate(visitor, asked.location(), user);
    visitor.send(callback_request(&callback)).expect(302)
}

/// Somebody who is logged in at the main stack.
#[track_caller]
pub fn logged_in(user: &str) -> CookieClient {
    let mut visitor = CookieClient::new(&world().gate);
    log_in(&mut visitor, "/", user);
    visitor
}

/// From the provider's address to the callback's: fills in the form, where there is one.
#[track_caller]
pub fn authenticate(visitor: &mut CookieClient, authorization: &str, user: &str) -> String {
    let answer = open(visitor, authorization);
    let answer = if answer.status == 200 { submit(visitor, &answer, user) } else { answer };
    let callback = answer.expect(302).location().to_owned();
    let url = Url::parse(&callback).unwrap();
    assert!(callback.starts_with(&visitor.gate.origin()), "sent elsewhere: {callback}");
    for (name, value) in url.query_pairs() {
        if matches!(&*name, "code" | "state") {
            canary::plant(&value);
        }
    }
    path_of(&callback)
}

/// Loads the provider's page.
#[track_caller]
pub fn open(visitor: &mut CookieClient, authorization: &str) -> Answer {
    at_keycloak(visitor, Request::get(path_of(authorization)))
}

/// Fills in and sends the login form of a page.
#[track_caller]
pub fn submit(visitor: &mut CookieClient, page: &Answer, user: &str) -> Answer {
    let html = page.text();
    let form = html.split("id=\"kc-form-login\"").nth(1).expect("no login form");
    let action = form.split("action=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let form = format!("username={user}&password={}&credentialId=", password(user));
    let action = path_of(&action.replace("&amp;", "&"));
    at_keycloak(visitor, Request::new("POST", action).form(&form))
}

/// Whether a page of the provider is its login form.
pub fn is_form(answer: &Answer) -> bool {
    answer.status == 200 && answer.text().contains("kc-form-login")
}

/// The browser comes back from the provider.
pub fn callback_request(callback: &str) -> Request {
    Request::get(callback).navigation_from("cross-site")
}

#[track_caller]
fn at_keycloak(visitor: &mut CookieClient, request: Request) -> Answer {
    let gate = visitor.to_keycloak.clone();
    let mut request = request.sni(KEYCLOAK_HOST).host(gate.keycloak_host());
    if let Some(cookies) = visitor.keycloak.header() {
        request = request.header("cookie", cookies);
    }
    let answer = gate.send(&request);
    visitor.keycloak.absorb(&answer);
    answer
}

/// Path and query of an absolute URL.
pub fn path_of(url: &str) -> String {
    let url = Url::parse(url).unwrap_or_else(|e| panic!("{url}: {e}"));
    url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
}

/// One parameter of a URL's query.
pub fn parameter(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).unwrap();
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
