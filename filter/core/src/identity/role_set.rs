//! Sets of roles.

use crate::identity::role::Role;

/// A set of roles, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RoleSet(u8);

impl RoleSet {
    /// Creates a set from a list. It always includes admin, who may do everything.
    #[must_use]
    pub(crate) const fn of(roles: &[Role]) -> Self {
        let mut bits = bit(Role::Admin);
        let mut rest = roles;
        while let [role, tail @ ..] = rest {
            bits |= bit(*role);
            rest = tail;
        }
        Self(bits)
    }

    /// Returns whether the set contains a role.
    #[must_use]
    pub(crate) const fn include(self, role: Role) -> bool {
        self.0 & bit(role) != 0
    }

    /// Returns the roles that are in both sets.
    #[must_use]
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns the names as text, such as `viewer, operator or admin`.
    #[must_use]
    pub(crate) fn names(self) -> String {
        let names: Vec<&str> =
            Role::ALL.into_iter().filter(|role| self.include(*role)).map(Role::name).collect();
        match names.split_last() {
            Some((last, [])) => (*last).to_owned(),
            Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
            None => String::new(),
        }
    }
}

const fn bit(role: Role) -> u8 {
    1 << role as u8
}
