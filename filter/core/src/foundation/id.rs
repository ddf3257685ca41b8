//! Identifiers of 16 bytes. Each kind has its own type, so that one is never taken for another.

use core::hash::Hash;

/// What all identifiers have in common: 16 bytes, random or a keyed hash.
pub(crate) trait Id: Copy + Eq + Hash {
    /// From its bytes.
    fn from_bytes(bytes: [u8; 16]) -> Self;
    /// Its bytes.
    fn bytes(self) -> [u8; 16];
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub(crate) struct $name([u8; 16]);

        impl Id for $name {
            fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            fn bytes(self) -> [u8; 16] {
                self.0
            }
        }
    };
}

id! {
    /// A browser session: random, new at every login.
    SessionId
}
id! {
    /// A client's credentials: a keyed hash of its name and secret.
    CredentialId
}
id! {
    /// A personal token: random.
    TokenId
}
id! {
    /// Something that the workers have marked, such as a used state: a hash, or another identifier's bytes.
    TombstoneId
}

/// An issuer, by its place in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct IssuerId(pub(crate) usize);
