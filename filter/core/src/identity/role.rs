//! The roles in Prefect.

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
        match self {
            Self::Viewer => matches!(other, Self::Viewer),
            Self::Operator => matches!(other, Self::Viewer | Self::Operator),
            Self::Worker => matches!(other, Self::Worker),
            Self::Admin => true,
        }
    }

    /// Returns whether this role is for people. Their sockets have a limit, which leaves room for
    /// those of Prefect's workers.
    #[must_use]
    pub(crate) const fn is_for_people(self) -> bool {
        match self {
            Self::Viewer | Self::Operator => true,
            Self::Worker | Self::Admin => false,
        }
    }

    /// Returns the roles for people.
    #[cfg(test)]
    pub(crate) fn for_people() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|role| role.is_for_people())
    }

    /// Returns the role with this name.
    #[must_use]
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    /// A new variant does not compile here before it has a place in the order.
    const fn next(role: Role) -> Option<Role> {
        match role {
            Role::Viewer => Some(Role::Operator),
            Role::Operator => Some(Role::Worker),
            Role::Worker => Some(Role::Admin),
            Role::Admin => None,
        }
    }

    #[test]
    fn all_roles_are_listed_in_ascending_order() {
        let all: Vec<Role> =
            core::iter::successors(Some(Role::Viewer), |role| next(*role)).collect();
        assert_eq!(all, Role::ALL);
        assert!(Role::ALL.is_sorted());
    }
}
