//! The text of docs/clients.md.

use lictor_integration::tools::PREFECT_VERSIONS;

use super::table::{Cell, KINDS, ROADS, Why};

/// Writes the page.
pub const COMMAND: &str = "LICTOR_WRITE_CLIENTS=1 cargo test --locked --test e2e -- clients.md";

const HEAD: &str = "\
# What to set in Prefect's clients

The end-to-end tests generate this page from
`integration/tests/e2e/stories/clients/table.rs`. They measure every cell with Prefect's own
clients, each against a server of the same version. To change the page, edit that file and run
`{command}`.

**Set `PREFECT_API_URL=https://…/api` and `PREFECT_API_AUTH_STRING=<name>:<secret>`.** From Prefect
3.6.29 on, this works everywhere with every kind of secret. With 3.4.13, set
`PREFECT_CLIENT_CUSTOM_HEADERS` instead.

Set `PREFECT_UI_URL` to the address of the UI, so that the links that clients print lead there.
Without it they name the host in `PREFECT_API_URL`, which redirects browsers.

Update clients with the server. A client before 3.6.21 at a newer server with a shared secret opens
no event socket, with or without Lictor (PrefectHQ/prefect#21099).

Envoy reads a backslash in a path as a slash, and refuses headers with an underscore in their name.
So nothing in Prefect should have a backslash in its name, and no custom header an underscore.

- **Client credentials and API keys** are for workers.
- **Personal tokens** are for people at the command line.
- **Access tokens** expire after minutes, and Prefect's clients do not renew them. They are for
  jobs that are shorter than that.
- **Passwords of an htpasswd file** are for the time until their users have something better.
- **Prefect's own string** is accepted only with `machines.accept_auth_string`.

The tables are for a role that may use every socket. An operator can open neither the task workers'
sockets nor the workers' sockets ([roles](roles.md)). [Machines](machines.md) describes how Lictor
judges each kind of credential.

A ✗ in the column `/events/in` is easy to overlook. The client prints a warning and the flow run
completes, but Prefect never receives its task runs (measured with {newest}).

The columns are the paths below `/api` that a client connects to:
";

/// The page that the table describes.
pub fn page() -> String {
    let mut notes: Vec<&Why> = Vec::new();
    let newest = PREFECT_VERSIONS.last().copied().unwrap_or_default();
    let mut page = HEAD.replace("{command}", COMMAND).replace("{newest}", newest);
    for (road, purpose) in ROADS {
        page += &format!("- {}: {purpose}\n", code(road));
    }
    page += "\n✓ works. ✗ is refused, and the number refers to the reason.\n";
    page += "– means that this version has no such client.\n";
    for (at, version) in PREFECT_VERSIONS.iter().enumerate().rev() {
        let columns = ROADS.map(|(road, _)| format!(" {} |", short(road))).concat();
        page += &format!("\n## Prefect {version}\n| credential | setting |{columns}\n");
        page += &format!("|---|---|{}\n", "---|".repeat(ROADS.len()));
        for kind in KINDS {
            let cells = kind.expected[at].map(|cell| format!(" {} |", sign(cell, &mut notes)));
            page +=
                &format!("| {} | {} |{}\n", kind.credential, code(kind.setting), cells.concat());
        }
    }
    page += "\n## Refused combinations\n";
    for (number, why) in (1..).zip(&notes) {
        page += &format!("{number}. {}.\n   Use {}.\n", why.reason, why.instead);
    }
    page
}

fn sign(cell: Cell, notes: &mut Vec<&'static Why>) -> String {
    match cell {
        Cell::Works => "✓".to_owned(),
        Cell::NoClient => "–".to_owned(),
        Cell::Fails(_, why) => {
            let known = notes.iter().position(|note| *note == why);
            let at = known.unwrap_or_else(|| {
                notes.push(why);
                notes.len() - 1
            });
            format!("✗ {}", at + 1)
        }
    }
}

/// Settings and paths as code, words as they are.
fn code(text: &str) -> String {
    let is_code = text.contains('=') || text.starts_with('/');
    if is_code { format!("`{text}`") } else { text.to_owned() }
}

/// The heading of a column.
fn short(road: &str) -> String {
    match road.split('/').nth(1) {
        Some("task_runs") => "task runs".to_owned(),
        Some("work_pools") => "worker".to_owned(),
        _ => code(road),
    }
}
