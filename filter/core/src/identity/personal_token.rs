//! What a personal token holds, and its binary form.

use crate::foundation::codec::{Reader, Writer};
use crate::foundation::crypto::{from_base64url, to_base64url};
use crate::foundation::id::{Id, TokenId};
use crate::foundation::time::UnixTime;
use crate::identity::role::Role;

/// What a person shows at the command line. It is sealed, never stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PersonalToken {
    /// Its own identity: what `machines.personal_tokens.revoked` lists.
    pub(crate) id: TokenId,
    /// `sub`.
    pub(crate) subject: String,
    /// What a person calls the account.
    pub(crate) name: String,
    /// The e-mail address, if the provider said it is verified.
    pub(crate) email: Option<String>,
    /// What it may do at most.
    pub(crate) role: Role,
    /// `sid`: the provider's session in which it was made.
    pub(crate) sid: Option<String>,
    /// When it was made.
    pub(crate) issued: UnixTime,
    /// When it ends.
    pub(crate) expires: UnixTime,
}

impl PersonalToken {
    /// Its identity as logs, pages and settings write it.
    #[must_use]
    pub(crate) fn id_text(&self) -> String {
        to_base64url(&self.id.bytes())
    }

    /// The binary form.
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

    /// Reads the binary form; `None` for anything that [`Self::encode`] did not write.
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

/// Reads an identity as [`PersonalToken::id_text`] writes it.
#[must_use]
pub(crate) fn id(text: &str) -> Option<TokenId> {
    from_base64url(text.as_bytes())?.try_into().ok().map(TokenId::from_bytes)
}
