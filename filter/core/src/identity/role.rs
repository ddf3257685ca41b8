//! The four roles in Prefect.

/// What a principal may do in Prefect (docs/roles.md).
///
/// A principal with several roles gets the last one in this order. The order does not mean that
/// each role includes the ones before it: a worker may not do all that an operator may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Reads everything except secrets.
    Viewer,
    /// Reads, and operates existing deployments and runs.
    Operator,
    /// Does what Prefect's workers and flow runs need.
    Worker,
    /// Does everything.
    Admin,
}

impl Role {
    /// All roles, in ascending order.
    pub(crate) const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Worker, Self::Admin];

    /// Returns the name of the role in settings, logs and responses.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Worker => "worker",
            Self::Admin => "admin",
        }
    }

    /// Returns whether this role may do everything that another role may do.
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

    /// Returns the role with this name.
    #[must_use]
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}
