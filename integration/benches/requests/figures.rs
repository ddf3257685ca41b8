//! From the costs of the rounds to the table.

use std::fmt::Write as _;

use crate::variants::{
    COOKIE, FEW_KEYS, FIRST_SEEN, FLOOR_SESSION, FLOOR_SIGNATURE, HOT, MANY_KEYS, NATIVE,
    NEW_COOKIE, NO_FILTER, OLDER_COOKIE, OLDER_FEW_KEYS, OLDER_FIRST_SEEN, OLDER_HOT,
};

/// What is compared, and what is wanted of it. An older module is compared with where there is one.
const RATIOS: [(&str, &str, &str, &str); 11] = [
    ("bearer, first seen / native uncached", FIRST_SEEN, NATIVE, "at most 0.70"),
    ("floor and signature / native uncached", FLOOR_SIGNATURE, NATIVE, "-"),
    ("bearer, first seen / floor and signature", FIRST_SEEN, FLOOR_SIGNATURE, "-"),
    ("bearer, hot / cookie, hot", HOT, COOKIE, "at most 1.25"),
    ("cookie, hot / floor", COOKIE, FLOOR_SESSION, "at most 1.50"),
    ("cookie, first seen / floor", NEW_COOKIE, FLOOR_SESSION, "at most 4.00"),
    ("10,000 keys / 10 keys", MANY_KEYS, FEW_KEYS, "0.90 to 1.10"),
    ("bearer, hot / older", HOT, OLDER_HOT, "at most 1.02"),
    ("bearer, first seen / older", FIRST_SEEN, OLDER_FIRST_SEEN, "at most 1.02"),
    ("cookie, hot / older", COOKIE, OLDER_COOKIE, "at most 1.02"),
    ("10 keys / older", FEW_KEYS, OLDER_FEW_KEYS, "at most 1.02"),
];

/// Worker CPU per request in microseconds, by round and variant.
pub struct Figures {
    names: Vec<&'static str>,
    rounds: Vec<Vec<f64>>,
}

impl Figures {
    pub fn new(names: Vec<&'static str>) -> Self {
        Self { names, rounds: Vec::new() }
    }

    /// The costs of one round, in the order of the names.
    pub fn add(&mut self, costs: Vec<f64>) {
        self.rounds.push(costs);
    }

    pub fn table(&self, requests: usize) -> String {
        let mut text = format!(
            "worker CPU per request, median of {} rounds of {requests} requests\n\n\
             {:<40} {:>10} {:>10}\n",
            self.rounds.len(),
            "variant",
            "us/request",
            "added us"
        );
        let base = self.place(NO_FILTER).unwrap_or_default();
        for (at, name) in self.names.iter().enumerate() {
            let whole = self.median(|round| round[at]);
            let added = self.median(|round| round[at] - round[base]);
            let _infallible = writeln!(text, "{name:<40} {whole:>10.1} {added:>10.1}");
        }
        let _infallible =
            writeln!(text, "\n{:<40} {:>10} {:>10}   wanted", "ratio", "of whole", "of added");
        for (name, over, under, wanted) in RATIOS {
            let Some((over, under)) = self.place(over).zip(self.place(under)) else { continue };
            let whole = self.median(|round| round[over] / round[under]);
            let added =
                self.median(|round| (round[over] - round[base]) / (round[under] - round[base]));
            let _infallible = writeln!(text, "{name:<40} {whole:>10.2} {added:>10.2}   {wanted}");
        }
        text
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| *known == name)
    }

    fn median(&self, figure: impl Fn(&[f64]) -> f64) -> f64 {
        let mut all: Vec<f64> = self.rounds.iter().map(|round| figure(round)).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
    }
}
