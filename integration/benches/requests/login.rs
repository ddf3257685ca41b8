//! A real login through the scripted provider; the session cookie that comes of it.

use std::io::{Error, Result};

use crate::connection::Pair;
use crate::http1::Answer;

/// Where clients think that they are.
pub const HOST: &str = "prefect.example.com";

/// Logs somebody in at a listener with Lictor; the value of the `Cookie` header.
pub fn session_cookie(connections: &mut Pair) -> Result<String> {
    let started = load(connections, "/", "")?;
    let location = started.header("location").ok_or_else(|| unexpected("no login", &started))?;
    let parameter = |name: &str| {
        let query = location.split_once('?').map_or("", |(_, query)| query);
        query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    };
    let (Some(state), Some(nonce)) = (parameter("state"), parameter("nonce")) else {
        return Err(unexpected("no state or nonce", &started));
    };
    let callback = format!("/oauth2/callback?state={state}&code={nonce}");
    let ended = load(connections, &callback, &cookies(&started))?;
    let session = cookies(&ended);
    let session = session.split("; ").find(|cookie| cookie.starts_with("__Host-lictor="));
    session.map(str::to_owned).ok_or_else(|| unexpected("no session", &ended))
}

fn load(connections: &mut Pair, target: &str, cookies: &str) -> Result<Answer> {
    let cookie = if cookies.is_empty() { String::new() } else { format!("cookie: {cookies}\r\n") };
    let request = format!(
        "GET {target} HTTP/1.1\r\nhost: {HOST}\r\naccept: text/html\r\nsec-fetch-site: none\r\n\
         sec-fetch-mode: navigate\r\nsec-fetch-dest: document\r\n{cookie}\r\n"
    );
    connections.exchange(request.as_bytes())
}

fn cookies(answer: &Answer) -> String {
    let pairs = answer.all("set-cookie").filter_map(|line| line.split(';').next());
    pairs.collect::<Vec<_>>().join("; ")
}

fn unexpected(what: &str, answer: &Answer) -> Error {
    Error::other(format!("{what}: {} {:?}", answer.status, answer.headers))
}
