//! The content of a personal token, and its binary form.

use crate::foundation::codec::{Reader, Writer};
use crate::foundation::crypto::{from_base64url, to_base64url};
use crate::foundation::id::{Id, TokenId};
use crate::foundation::time::UnixTime;
use crate::identity::role::Role;

/// A personal token: a credential of a person for the command line.
///
/// Its text is the sealed content. The server does not store it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PersonalToken {
    /// The id of the token. `machines.personal_tokens.revoked` lists such ids.
    pub(crate) id: TokenId,
    /// The person's `sub` at the provider.
    pub(crate) subject: String,
    /// The display name of the account.
    pub(crate) name: String,
    /// The e-mail address, if the provider has verified it.
    pub(crate) email: Option<String>,
    /// The highest role that the token grants.
    pub(crate) role: Role,
    /// `sid`: the session at the provider in which the token was created.
    pub(crate) sid: Option<String>,
    /// When the token was created.
    pub(crate) issued: UnixTime,
    /// When the token expires.
    pub(crate) expires: UnixTime,
}

impl PersonalToken {
    /// Returns the id as text, as in logs, pages and settings: 22 characters of base64url.
    #[must_use]
    pub(crate) fn id_text(&self) -> String {
        to_base64url(&self.id.bytes())
    }

    /// Returns the binary form.
    #[must_use]
    pub(crate) fn encode(&self) -> Vec<u8> {
        Writer::default()
            .raw(&self.id.bytes())
            .number(self.issued.millis())
            .number(self.expires.millis())
            .bytes(self.role.name().as_bytes())
            .bytes(self.subject.as_bytes())
            .bytes(self.name.as_bytes())
            .optional(self.email.as_deref())
            .optional(self.sid.as_deref())
            .finish()
    }

    /// Reads the binary form of [`Self::encode`]; `None` if it is malformed.
    #[must_use]
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Reader::new(bytes);
        let token = Self {
            id: TokenId::from_bytes(fields.raw()?),
            issued: UnixTime::from_millis(fields.number()?),
            expires: UnixTime::from_millis(fields.number()?),
            role: Role::named(&fields.text()?)?,
            subject: fields.text()?,
            name: fields.text()?,
            email: fields.optional()?,
            sid: fields.optional()?,
        };
        fields.is_done().then_some(token)
    }
}

/// Reads an id in the text form of [`PersonalToken::id_text`].
#[must_use]
pub(crate) fn id(text: &str) -> Option<TokenId> {
    from_base64url(text.as_bytes())?.try_into().ok().map(TokenId::from_bytes)
}
