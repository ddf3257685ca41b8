//! Faults of the shell that these tests have found and that are still there. Each row must go when
//! its fault does: a row that nothing fits any more fails the test.

use lictor_host::HostCall;

use crate::failing::Odd;

struct KnownFault {
    story: &'static str,
    name: &'static str,
    subject: &'static str,
    step: &'static str,
    /// The end of what the test says.
    says: &'static str,
    _why: &'static str,
}

const TABLE: &[KnownFault] = &[
    KnownFault {
        story: "judged body",
        name: "proxy_get_buffer_bytes",
        subject: "0",
        step: "second half of the body",
        says: "it is forwarded",
        _why: "a body that the host does not give counts as an empty one, which asks for nothing",
    },
    KnownFault {
        story: "judged body",
        name: "proxy_get_buffer_bytes",
        subject: "0",
        step: "second half of the body",
        says: "nothing changes, and no table says why",
        _why: "the same, for a body that may pass",
    },
    KnownFault {
        story: "socket with events that are not for it",
        name: "proxy_get_buffer_bytes",
        subject: "0",
        step: "filter frame",
        says: "it is forwarded with another body",
        _why: "frames that the host does not give count as none, and pass unread",
    },
    KnownFault {
        story: "Prefect refuses the shared secret",
        name: "proxy_get_header_map_pairs",
        subject: "2",
        step: "head of the answer",
        says: "a secret in an answer",
        _why: "an answer without a readable status counts as any other, and passes",
    },
];

/// The known fault that something odd is.
pub fn known_fault(call: &HostCall, story: &str, odd: &Odd) -> Option<usize> {
    TABLE.iter().position(|row| {
        (row.story, row.name, row.subject, row.step)
            == (story, call.name, call.subject.as_str(), &*call.step)
            && odd.to_string().ends_with(row.says)
    })
}

/// The rows of a story that nothing fits any more.
pub fn mended(story: &str, found: &[usize]) -> Vec<String> {
    let rows = TABLE.iter().enumerate();
    let left = rows.filter(|(place, row)| row.story == story && !found.contains(place));
    left.map(|(_, row)| {
        let KnownFault { name, subject, step, says, .. } = row;
        format!("{story}, {step}, {name}({subject}): no longer so, remove the row: {says}")
    })
    .collect()
}
