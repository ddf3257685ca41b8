//! Identifiers. Each kind has its own type, so that the compiler keeps them apart.

use core::hash::Hash;

/// An identifier of 16 bytes: random, or a hash.
pub(crate) trait Id: Copy + Eq + Hash {
    /// Creates an identifier from its bytes.
    fn from_bytes(bytes: [u8; 16]) -> Self;
    /// Returns the bytes of the identifier.
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
    /// The identifier of a browser session: random, new at every login.
    SessionId
}
id! {
    /// The identifier of client credentials or of an opaque token: a keyed hash of its text.
    CredentialId
}
id! {
    /// The identifier of a personal token: random.
    TokenId
}
id! {
    /// The identifier of something that the workers have marked, such as a used `state`: a hash, or
    /// the bytes of another identifier.
    TombstoneId
}

/// An issuer, by its index in [`Config::issuers`](crate::config::Config::issuers).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct IssuerId(pub(crate) usize);
