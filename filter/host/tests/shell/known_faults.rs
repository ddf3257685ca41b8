//! Faults of the shell that these tests have found and that are still there. Each row must go when
//! its fault does: a row that nothing fits any more fails the test.

use lictor_host::HostCall;

use crate::failing::Odd;

struct KnownFault {
    story: &'static str,
    name: &'static str,
    /// The beginning of what the call is about.
    subject: &'static str,
    step: &'static str,
    /// The end of what the test says.
    says: &'static str,
    _why: &'static str,
}

const TABLE: &[KnownFault] = &[
    KnownFault {
        story: "Prefect refuses the shared secret",
        name: "proxy_get_header_map_pairs",
        subject: "2",
        step: "head of the answer",
        says: "a secret in an answer",
        _why: "an answer without a readable status counts as any other, and passes",
    },
    KnownFault {
        story: "session that another worker has ended",
        name: "proxy_get_shared_data",
        subject: "lictor.marks.",
        step: "GET /api/flows/1",
        says: "it is forwarded",
        _why: "a number of changes that cannot be read counts as one that has not changed",
    },
];

/// The known fault that something odd is.
pub fn known_fault(call: &HostCall, story: &str, odd: &Odd) -> Option<usize> {
    TABLE.iter().position(|row| {
        (row.story, row.name, row.step) == (story, call.name, &*call.step)
            && call.subject.starts_with(row.subject)
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
