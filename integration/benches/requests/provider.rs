//! The scripted provider: metadata, one key, and tokens for whoever brings a code. The code is the
//! nonce of the login, so that nothing has to be remembered.

use std::io::{Result, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use serde_json::{Value, json};

use crate::http1::Reader;
use crate::tokens::{ISSUER, Signer};

/// Serves on loopback until the process ends; its port.
pub fn start(signer: &Arc<Signer>) -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let signer = Arc::clone(signer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let signer = Arc::clone(&signer);
            // Envoy closing the connection is its end.
            thread::spawn(move || drop(serve(stream, &signer)));
        }
    });
    Ok(port)
}

fn serve(mut stream: TcpStream, signer: &Signer) -> Result<()> {
    let mut held = Vec::new();
    loop {
        let mut reader = Reader { stream: &mut stream, held };
        let first = reader.line()?;
        let mut length = 0;
        loop {
            let line = reader.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let form = String::from_utf8_lossy(&reader.take(length)?).into_owned();
        held = reader.held;
        let path = first.split(' ').nth(1).unwrap_or_default();
        let body = answer(path, &form, signer).to_string();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length:";
        stream.write_all(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes())?;
    }
}

fn answer(path: &str, form: &str, signer: &Signer) -> Value {
    match path.rsplit('/').next() {
        Some("openid-configuration") => json!({
            "issuer": ISSUER,
            "authorization_endpoint": format!("{ISSUER}/auth"),
            "token_endpoint": format!("{ISSUER}/token"),
            "jwks_uri": format!("{ISSUER}/certs"),
        }),
        Some("certs") => signer.jwks(),
        Some("token") => {
            let nonce = form.split('&').find_map(|pair| pair.strip_prefix("code="));
            json!({
                "token_type": "Bearer", "expires_in": 3600,
                "access_token": signer.access_token(0),
                "id_token": signer.id_token(nonce.unwrap_or_default()),
                "refresh_token": refresh_token(0),
            })
        }
        _ => Value::Null,
    }
}

/// As long as Keycloak's.
pub fn refresh_token(number: usize) -> String {
    format!("{number:0728}")
}
