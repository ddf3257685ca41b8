//! The four roles.

/// What a principal may do in Prefect (docs/roles.md). The order is from least to most only
/// among people: a worker is no subset of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads everything but secrets.
    Viewer,
    /// Reads, and runs what is there.
    Operator,
    /// What Prefect's workers and flow runs call.
    Worker,
    /// Everything.
    Admin,
}

impl Role {
    /// All roles. Where a principal has several, the last one counts.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Worker, Self::Admin];

    /// The name in settings, logs and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Worker => "worker",
            Self::Admin => "admin",
        }
    }

    /// Whether this role may all that another one may.
    #[must_use]
    pub(crate) const fn includes(self, other: Self) -> bool {
        matches!(
            (self, other),
            (Self::Admin, _)
                | (Self::Operator, Self::Viewer | Self::Operator)
                | (Self::Viewer, Self::Viewer)
                | (Self::Worker, Self::Worker)
        )
    }

    /// The role of that name.
    #[must_use]
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}
