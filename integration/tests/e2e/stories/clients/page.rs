//! docs/clients.md.

use lictor_integration::tools::PREFECT_VERSIONS;

use super::table::{Cell, KINDS, ROADS, Why};

/// Writes it.
pub const COMMAND: &str =
    "LICTOR_WRITE_CLIENTS=1 cargo test --locked -p lictor-integration --test e2e -- clients.md";

const HEAD: &str = "\
# What to set in Prefect's clients

This page is written from `integration/tests/e2e/stories/clients/table.rs`, and the end-to-end tests measure
every cell with Prefect's own clients, each against a server of its version. To change it, change that file and run
`{command}`.

**Set `PREFECT_API_URL=https://…/api` and `PREFECT_API_AUTH_STRING=<name>:<secret>`.** From Prefect 3.6.29 on
that reaches everything with every kind of secret. With 3.4.13 set `PREFECT_CLIENT_CUSTOM_HEADERS` instead.

Client credentials or an API key are for workers, a personal token for people at the command line. An access token ends
after minutes, and Prefect's clients do not renew it: it is for jobs that are shorter than that. Prefect's own string counts
only with `machines.accept_auth_string`. The tables are for a role that may all this; an operator opens neither the
sockets of task workers nor those of workers ([roles](roles.md)). How Lictor judges each kind is in
[machines.md](machines.md).

A ✗ below `/events/in` is easily overlooked: the client prints a warning, the flow run completes, and Prefect
never hears of its task runs (measured with {newest}).

The columns are what a client connects to, below `/api`:
";

/// The page as it should be.
pub fn page() -> String {
    let mut notes: Vec<&Why> = Vec::new();
    let newest = PREFECT_VERSIONS.last().copied().unwrap_or_default();
    let mut page = HEAD.replace("{command}", COMMAND).replace("{newest}", newest);
    for (road, purpose) in ROADS {
        page += &format!("- {}: {purpose}\n", code(road));
    }
    page += "\n✓ works, ✗ is refused (the number says why), – this version has no such client.\n";
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
    page += "\n## What is refused, and what to set instead\n";
    for (number, why) in (1..).zip(&notes) {
        page += &format!("{number}. Why: {}. Instead: {}.\n", why.reason, why.instead);
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

/// Settings and paths; words stay words.
fn code(text: &str) -> String {
    let is_code = text.contains('=') || text.starts_with('/');
    if is_code { format!("`{text}`") } else { text.to_owned() }
}

/// A column's name.
fn short(road: &str) -> String {
    match road.split('/').nth(1) {
        Some("task_runs") => "task runs".to_owned(),
        Some("work_pools") => "worker".to_owned(),
        _ => code(road),
    }
}
