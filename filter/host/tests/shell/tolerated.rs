//! Host calls whose failure need not be refused, and why.

use lictor_host::HostCall;

use crate::failing::Odd;

/// How a story may end although a call has failed.
#[derive(Clone, Copy)]
enum End {
    /// As if nothing had failed.
    Unchanged,
    /// Waiting.
    Waits,
    /// In another way, which the test describes so.
    Wrong(&'static str),
}

struct Tolerated {
    name: &'static str,
    /// The beginning of what the call is about.
    subject: &'static str,
    /// The beginning of the step; empty for any.
    step: &'static str,
    /// The stories; none for all.
    stories: &'static [&'static str],
    end: End,
    _why: &'static str,
}

impl Tolerated {
    /// A call that decides nothing.
    const fn new(name: &'static str, subject: &'static str, why: &'static str) -> Self {
        Self { name, subject, step: "", stories: &[], end: End::Unchanged, _why: why }
    }

    const fn at(self, step: &'static str) -> Self {
        Self { step, ..self }
    }

    const fn of(self, stories: &'static [&'static str]) -> Self {
        Self { stories, ..self }
    }

    const fn ending(self, end: End) -> Self {
        Self { end, ..self }
    }
}

const TABLE: &[Tolerated] = &[
    Tolerated::new("proxy_increment_metric", "", "a counter decides nothing"),
    Tolerated::new(
        "proxy_call_foreign_function",
        "verify_signature",
        "the module then verifies the signature itself",
    ),
    Tolerated::new(
        "proxy_get_property",
        "connection.mtls",
        "absent, it says that there is no certificate; these clients show something else",
    ),
    Tolerated::new(
        "proxy_get_property",
        "connection.",
        "the settings name the certificate by its URI, which has been read",
    )
    .of(&["client certificate"]),
    Tolerated::new(
        "proxy_get_property",
        "source.address",
        "clients without an address count as one network when attempts are counted",
    ),
    Tolerated::new(
        "proxy_get_property",
        "plugin_",
        "a name only tells plugins of one VM apart, and this one is alone",
    ),
    Tolerated::new(
        "proxy_get_property",
        "plugin_name",
        "another name is another plugin, which does not judge the sockets of the first",
    )
    .of(&["socket of before a configuration"])
    .ending(End::Wrong("it is forwarded with another body")),
    Tolerated::new(
        "proxy_get_buffer_bytes",
        "7",
        "settings that cannot be read are refused, and the old ones go on with their sockets",
    )
    .of(&["socket of before a configuration"])
    .ending(End::Wrong("it is forwarded with another body")),
    Tolerated::new(
        "proxy_get_shared_data",
        "lictor.",
        "what no other worker has said this one finds out itself",
    ),
    Tolerated::new(
        "proxy_set_shared_data",
        "lictor.",
        "another worker has written meanwhile: it is tried again, or this one remembers by itself",
    ),
    Tolerated::new("random_get", "24", "what cannot be sealed is not shared with other workers"),
    Tolerated::new("proxy_get_buffer_bytes", "", "the next callback sees everything that is kept")
        .at("first half of the"),
    Tolerated::new("proxy_get_buffer_bytes", "0", "the next callback sees everything that is kept")
        .at("auth frame"),
    Tolerated::new("proxy_get_header_map_pairs", "0", "what decides has been read before the call")
        .of(&["login", "back-channel logout by an unknown key"]),
    Tolerated::new(
        "proxy_get_header_map_pairs",
        "2",
        "an answer without a readable head is masked all the same; a session's cookie is added",
    )
    .of(&[
        "masked answer",
        "masked answer with trailers",
        "request and answer with trailers",
        "session",
        "session refresh",
    ]),
    Tolerated::new(
        "proxy_get_header_map_pairs",
        "2",
        "what cannot be read is not rewritten; it holds no secret",
    )
    .of(&["UI settings", "page with the companion"])
    .ending(End::Wrong("another answer")),
    Tolerated::new(
        "proxy_get_buffer_bytes",
        "1",
        "what cannot be read is not rewritten; it holds no secret",
    )
    .at("second half")
    .of(&["UI settings"])
    .ending(End::Wrong("another answer")),
    Tolerated::new("random_get", "8", "a worker's name in leases; it has another by then"),
    Tolerated::new(
        "proxy_http_call",
        "idp",
        "session.grace: sessions go on while the provider cannot be reached",
    )
    .of(&["session refresh"]),
    Tolerated::new(
        "proxy_get_buffer_bytes",
        "4",
        "session.grace: an answer of the provider that cannot be read is none",
    )
    .of(&["session refresh"]),
    Tolerated::new(
        "proxy_get_header_map_pairs",
        "6",
        "session.grace: an answer of the provider that cannot be read is none",
    )
    .of(&["session refresh"]),
    Tolerated::new(
        "proxy_set_effective_context",
        "1",
        "back to the root at the end of a callback, after which nothing is done",
    ),
    Tolerated::new(
        "proxy_set_effective_context",
        "",
        "a socket that is to end: it is tried again at the next tick",
    )
    .of(&["socket of before a configuration"]),
    Tolerated::new(
        "proxy_set_effective_context",
        "",
        "Envoy says so of a request that has gone, whose answer nobody waits for",
    )
    .ending(End::Waits),
];

/// Whether a story may end so although a call has failed.
pub fn is_tolerated(call: &HostCall, story: &str, odd: &Odd) -> bool {
    TABLE.iter().any(|row| {
        let ends = match (row.end, odd) {
            (End::Unchanged, Odd::Unchanged) | (End::Waits, Odd::Waits(_)) => true,
            (End::Wrong(says), Odd::Wrong(what)) => what.ends_with(says),
            _ => false,
        };
        ends && row.name == call.name
            && call.subject.starts_with(row.subject)
            && call.step.starts_with(row.step)
            && (row.stories.is_empty() || row.stories.contains(&story))
    })
}
