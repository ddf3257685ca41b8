//! What is tested, by who it is about.

mod auth_request;
mod awkward_browsers;
mod backchannel_logout;
mod bench;
mod callbacks;
mod canary;
mod certificates;
mod clients;
mod companion;
mod configuration;
mod cross_site;
mod dashboard;
mod exchanges;
mod faults;
mod floods;
mod header_bytes;
mod hygiene;
mod in_the_browser;
mod issuers;
mod keys;
mod machines;
mod older_keycloak;
mod open_redirects;
mod other_providers;
mod other_sites;
mod pages;
mod paths;
mod people;
mod personal_tokens;
mod prefect_runs;
mod prefixes;
mod production;
mod rewriting;
mod roles;
mod sessions;
mod soak;
mod socket_ends;
mod sockets;
mod split_names;
mod streaming;
mod tokens;
mod ui_settings;
mod upgrades;
mod vectors;
mod who_is_let_in;

use libtest_mimic::Trial;

/// All of them, in the order in which they run: what only reads first, what stops parts at the
/// end, and last the look into every log.
pub fn all() -> Vec<Trial> {
    [
        configuration::stories(),
        vectors::stories(),
        who_is_let_in::stories(),
        paths::stories(),
        header_bytes::stories(),
        people::stories(),
        ui_settings::stories(),
        rewriting::stories(),
        callbacks::stories(),
        backchannel_logout::stories(),
        sessions::stories(),
        other_providers::stories(),
        older_keycloak::stories(),
        split_names::stories(),
        cross_site::stories(),
        open_redirects::stories(),
        machines::stories(),
        exchanges::stories(),
        personal_tokens::stories(),
        tokens::stories(),
        keys::stories(),
        issuers::stories(),
        certificates::stories(),
        auth_request::stories(),
        hygiene::stories(),
        roles::stories(),
        sockets::stories(),
        upgrades::stories(),
        socket_ends::stories(),
        floods::stories(),
        prefect_runs::stories(),
        clients::stories(),
        streaming::stories(),
        pages::stories(),
        awkward_browsers::stories(),
        other_sites::stories(),
        in_the_browser::stories(),
        companion::stories(),
        prefixes::stories(),
        dashboard::stories(),
        production::stories(),
        tokens::late_stories(),
        soak::stories(),
        faults::stories(),
        canary::stories(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// One test: a sentence, and what proves it.
fn story(about: &str, sentence: &str, proof: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(format!("{about}: {sentence}"), move || {
        proof();
        Ok(())
    })
}
