//! What is printed when the stack is up, and by `status`.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use crate::stack_file::StackFile;
use crate::status::PartStatus;

/// From this version on, Prefect's client sends its auth string on every socket.
const AUTH_STRING_ON_SOCKETS: [u32; 3] = [3, 6, 21];

/// Says where to go, who may log in, and how to run a flow through the gate.
///
/// # Errors
/// The writer fails.
pub fn up(out: &mut impl Write, stack: &StackFile, checkout: &Path) -> io::Result<()> {
    writeln!(out, "\nOpen      {}", stack.url)?;
    writeln!(out, "\nPeople who can log in (at {}):", stack.keycloak.url)?;
    for user in &stack.users {
        let role = user.role.as_deref().unwrap_or("no role: is logged in, and refused");
        writeln!(out, "  {:<7} {:<10} {role}", user.name, user.password)?;
    }
    writeln!(
        out,
        "\nThe browser warns, because the certificates come from a CA made for this checkout."
    )?;
    writeln!(
        out,
        "Go on past the warning (twice: Prefect and Keycloak), or import this CA, which is good"
    )?;
    writeln!(out, "for loopback names only:\n  {}", stack.ca_file.display())?;
    let machine = &stack.machine;
    writeln!(out, "\nA machine (role worker):")?;
    writeln!(out, "  PREFECT_API_URL          {}", machine.api_url)?;
    writeln!(out, "  PREFECT_API_AUTH_STRING  {}", machine.auth_string)?;
    writeln!(out, "  or an access token from  {}", machine.token_url)?;
    writeln!(out, "    by client credentials  {} {}", machine.client_id, machine.client_secret)?;
    writeln!(out, "\nRun a flow through the gate:\n{}", flow_command(stack, checkout))?;
    writeln!(
        out,
        "\nmake status, make logs, make down.  Prefect {} keeps its data.",
        stack.prefect.version
    )
}

/// The command that runs `integration/flows/hello.py` through Lictor, ready to be pasted.
#[must_use]
pub fn flow_command(stack: &StackFile, checkout: &Path) -> String {
    let credential = if sends_auth_string_on_sockets(&stack.prefect.version) {
        format!("PREFECT_API_AUTH_STRING={}", quote(&stack.machine.auth_string))
    } else {
        // A custom header is all that older clients send on every socket.
        let key = stack.machine.auth_string.split_once(':').map_or("", |(_, key)| key);
        format!("PREFECT_CLIENT_CUSTOM_HEADERS='{{\"Authorization\":\"Bearer {key}\"}}'")
    };
    [
        format!("PREFECT_API_URL={}", quote(&stack.machine.api_url)),
        credential,
        // Links in the run's output are for a browser, which logs in at the public name only.
        format!("PREFECT_UI_URL={}", quote(&stack.url)),
        format!("PREFECT_API_SSL_CERT_FILE={}", quote(&stack.ca_file.to_string_lossy())),
        // Not the user's own: a profile there may hold other credentials.
        format!("PREFECT_HOME={}", quote(&stack.logs.with_file_name("client").to_string_lossy())),
        format!(
            "{} {}",
            quote(&stack.prefect.python.to_string_lossy()),
            quote(&checkout.join("integration/flows/hello.py").to_string_lossy())
        ),
    ]
    .map(|line| format!("  {line}"))
    .join(" \\\n")
}

/// A line for each part; whether all of them are ready.
///
/// # Errors
/// The writer fails.
pub fn status(out: &mut impl Write, parts: &[PartStatus]) -> io::Result<bool> {
    for PartStatus { part, port, running, ready } in parts {
        let (state, pid, uptime) = match running {
            Some(running) => ("running", running.pid().to_string(), duration(running.uptime())),
            None => ("stopped", "-".to_owned(), "-".to_owned()),
        };
        let ready = match (running, ready) {
            (Some(_), Ok(())) => "ready".to_owned(),
            (Some(_), Err(wanted)) => format!("not ready, waits for {wanted}"),
            (None, _) => String::new(),
        };
        let line =
            format!("{part:<9} {state:<8} pid {pid:<7} port {port:<6} up {uptime:<9} {ready}");
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(parts.iter().all(|part| part.running.is_some() && part.ready.is_ok()))
}

fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

fn sends_auth_string_on_sockets(version: &str) -> bool {
    let numbers: Vec<u32> = version.split('.').filter_map(|part| part.parse().ok()).collect();
    numbers.as_slice() >= AUTH_STRING_ON_SOCKETS.as_slice()
}

/// For a POSIX shell.
fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_for_the_shell() {
        assert_eq!(quote("/a/b-c_1.py"), "/a/b-c_1.py");
        assert_eq!(quote("/my files/it's"), r"'/my files/it'\''s'");
    }

    #[test]
    fn only_newer_clients_are_given_the_auth_string() {
        assert!(!sends_auth_string_on_sockets("3.4.13"));
        assert!(!sends_auth_string_on_sockets("3.6.20"));
        assert!(sends_auth_string_on_sockets("3.6.29"));
        assert!(sends_auth_string_on_sockets("3.8.8"));
    }

    #[test]
    fn times_are_short() {
        assert_eq!(duration(Duration::from_secs(59)), "59 s");
        assert_eq!(duration(Duration::from_secs(3599)), "59 min");
        assert_eq!(duration(Duration::from_secs(7320)), "2 h 2 min");
    }
}
