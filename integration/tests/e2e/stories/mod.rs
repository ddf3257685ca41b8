//! What is tested, by who it is about.

mod auth_request;
mod awkward_browsers;
mod backchannel_logout;
mod beside_strangers;
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
mod laptop_stack;
mod machines;
mod mutual_tls;
mod older_keycloak;
mod open_redirects;
mod other_providers;
mod other_sites;
mod pages;
mod passwords;
mod paths;
mod people;
mod personal_tokens;
mod prefect_runs;
mod prefixes;
mod production;
mod provider_origins;
mod proxies_in_front;
mod recorded_gateway;
mod rewriting;
mod roles;
mod sessions;
mod soak;
mod socket_ends;
mod sockets;
mod split_names;
mod strangers;
mod streaming;
mod tokens;
mod ui_settings;
mod upgrades;
mod vectors;
mod who_is_let_in;

pub use crate::schedule::Story;

/// All of them, in the order in which they are told; the look into every log is the last to run.
pub fn all() -> Vec<Story> {
    [
        each(configuration::stories(), Story::own_provider),
        each(vectors::stories(), |story| story.own_provider().early().heavy()),
        each(who_is_let_in::stories(), Story::counting),
        each(paths::stories(), Story::counting),
        each(header_bytes::stories(), Story::counting),
        each(people::stories(), Story::counting),
        ui_settings::stories(),
        rewriting::stories(),
        each(callbacks::stories(), Story::counting),
        backchannel_logout::stories(),
        sessions::stories(),
        each(other_providers::stories(), Story::own_provider),
        provider_origins::stories(),
        older_keycloak::stories(),
        laptop_stack::stories(),
        mutual_tls::stories(),
        split_names::stories(),
        cross_site::stories(),
        open_redirects::stories(),
        proxies_in_front::stories(),
        each(machines::stories(), Story::counting),
        each(exchanges::stories(), Story::apart),
        each(personal_tokens::stories(), Story::counting),
        passwords::stories(),
        tokens::stories(),
        each(keys::stories(), Story::own_provider),
        issuers::stories(),
        each(certificates::stories(), Story::own_provider),
        each(auth_request::stories(), Story::apart),
        each(hygiene::stories(), |story| story.apart().in_group("recorded gateway")),
        roles::stories(),
        sockets::stories(),
        upgrades::stories(),
        socket_ends::stories(),
        floods::stories(),
        strangers::stories(),
        beside_strangers::stories(),
        prefect_runs::stories(),
        clients::stories(),
        streaming::stories(),
        each(pages::stories(), Story::heavy),
        each(awkward_browsers::stories(), Story::heavy),
        each(other_sites::stories(), |story| story.counting().heavy()),
        each(in_the_browser::stories(), Story::heavy),
        each(companion::stories(), Story::heavy),
        each(prefixes::stories(), |story| story.apart().heavy()),
        each(dashboard::stories(), Story::alone),
        production::stories(),
        soak::stories(),
        faults::stories(),
        each(canary::stories(), Story::alone),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn each(stories: Vec<Story>, how: fn(Story) -> Story) -> Vec<Story> {
    stories.into_iter().map(how).collect()
}

/// One test: a sentence, and what proves it.
fn story(about: &str, sentence: &str, proof: impl FnOnce() + Send + 'static) -> Story {
    Story::new(format!("{about}: {sentence}"), proof)
}
