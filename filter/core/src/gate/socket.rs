//! A forwarded socket, whose client's bytes are held until the first frame has been judged.

use super::{Cx, Interest};
use crate::credential::kind::in_auth_message;
use crate::credential::verifier::AuthenticationError;
use crate::foundation::limits::{FIRST_FRAME, HELD, PINGS, TOKEN};
use crate::foundation::stream::StreamId;
use crate::gate::decision::DataStep;
use crate::policy::authorize;
use crate::policy::pending_handshakes::Slot;
use crate::prefect::event_filter::{EventFilter, FilterProgress};
use crate::prefect::first_frame;
use crate::prefect::first_frame::{AuthFrame, FirstFrame, NORMAL, POLICY, PROTOCOL, TRY_AGAIN};
use crate::prefect::sockets::KnownSocket;
use crate::refusal::{Reason, Refusal};
use crate::telemetry::event::Event;
use crate::wire::http::request::RequestView;
use crate::wire::websocket;

/// The state of one forwarded socket.
pub(crate) struct Socket {
    known: KnownSocket,
    stage: Stage,
    /// Whether Prefect has accepted the upgrade.
    open: bool,
    query: ProviderQuery,
    /// Bytes of pings that have passed before the first frame.
    pings: usize,
}

/// The state of a question to the provider about the first frame.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ProviderQuery {
    No,
    /// The provider is being asked, and the frame stays held.
    Pending,
    Answered,
}

enum Stage {
    /// No identity is proved. Nothing but pings passes.
    Unauthenticated(Slot),
    /// A header has proved an identity. The token of the first frame is replaced all the same.
    /// Clients of 3.4.13 send events without an auth frame, and without a subprotocol.
    Authorized { without_auth: bool },
    /// An identity is proved that may not see all events. The message with the event filter is read
    /// as well.
    Filtered(EventFilter),
    /// Bytes pass unparsed.
    Passing,
    /// The client is refused or has left. Nothing passes any longer.
    Closed,
}

/// The mask of frames that Lictor writes itself.
///
/// Masking hides nothing here. RFC 6455 §10.3 is about caches between browser and server, and this
/// frame goes from Envoy to Prefect.
const MASK: [u8; 4] = [0x4c, 0x69, 0x63, 0x74];

impl Socket {
    /// Creates a socket whose upgrade carried a valid credential.
    pub(crate) fn authorized(known: KnownSocket, request: RequestView<'_>) -> Self {
        let without_auth = known.is_events_in() && !request.has("sec-websocket-protocol");
        Self::at(known, Stage::Authorized { without_auth })
    }

    /// Creates a socket that is judged by its first frame.
    pub(crate) const fn unauthenticated(known: KnownSocket, slot: Slot) -> Self {
        Self::at(known, Stage::Unauthenticated(slot))
    }

    const fn at(known: KnownSocket, stage: Stage) -> Self {
        Self { known, stage, open: false, query: ProviderQuery::No, pings: 0 }
    }

    /// Returns how much of the client's bytes the gate must see.
    pub(crate) const fn client_data(&self) -> Interest {
        match self.stage {
            Stage::Unauthenticated(_) | Stage::Authorized { .. } | Stage::Filtered(_) => {
                Interest::Bytes
            }
            Stage::Passing | Stage::Closed => Interest::Time,
        }
    }

    /// Records that Prefect answered 101.
    pub(crate) const fn opened(&mut self) {
        self.open = true;
    }

    /// Records that Prefect refused the upgrade. Its response passes. Bytes of the client do not:
    /// behind a refused upgrade they could become a request of their own.
    pub(crate) fn refused(&mut self) {
        self.stage = Stage::Closed;
    }

    /// Returns whether the credential that opened the socket is no longer valid.
    ///
    /// A socket that the site does not know has ended as well.
    pub(crate) fn is_over(&self, stream: StreamId, cx: &mut Cx<'_>) -> bool {
        match self.stage {
            Stage::Authorized { .. } | Stage::Filtered(_) | Stage::Passing => {
                cx.site.socket_is_over(stream, cx.now)
            }
            Stage::Unauthenticated(_) | Stage::Closed => false,
        }
    }

    /// Returns whether the client's bytes are held for the provider's verdict.
    pub(crate) const fn is_waiting(&self) -> bool {
        matches!(self.query, ProviderQuery::Pending)
    }

    /// Judges the held bytes from the beginning, after the provider has answered or failed to.
    pub(crate) fn on_wake(
        &mut self,
        held: &[u8],
        stream: StreamId,
        cx: &mut Cx<'_>,
    ) -> (DataStep, Option<Event>) {
        self.query = ProviderQuery::Answered;
        self.on_client_data(held, false, stream, cx)
    }

    /// Decides on the bytes that the host holds from the client. Returns a log event if a verdict
    /// was reached.
    pub(crate) fn on_client_data(
        &mut self,
        held: &[u8],
        end: bool,
        stream: StreamId,
        cx: &mut Cx<'_>,
    ) -> (DataStep, Option<Event>) {
        if self.is_over(stream, cx) {
            return (DataStep::Reset, None);
        }
        if self.is_waiting() {
            let waits = !end && held.len() <= HELD;
            return (if waits { DataStep::Hold } else { DataStep::Reset }, None);
        }
        match self.stage {
            Stage::Passing => return (DataStep::Pass, None),
            Stage::Closed => return (DataStep::Replace(Vec::new()), None),
            Stage::Filtered(_) if held.is_empty() => return (DataStep::Pass, None),
            Stage::Filtered(_) => return (DataStep::Replace(self.filter_events(held)), None),
            Stage::Unauthenticated(_) | Stage::Authorized { .. } => {}
        }
        if held.is_empty() {
            return (if end { DataStep::Reset } else { DataStep::Hold }, None);
        }
        if !self.open {
            // Prefect could read bytes before the 101 as a request of their own.
            return (DataStep::Reset, None);
        }
        let Some((pings, rest)) = self.split_pings(held) else { return (DataStep::Reset, None) };
        if rest.is_empty() {
            self.pings = self.pings.saturating_add(pings.len());
            return (DataStep::Pass, None);
        }
        let (step, event) = self.on_first_frame(rest, end, stream, cx);
        match step {
            // At most `HELD` bytes are read again at the wake-up. Bytes beyond them would pass
            // unjudged.
            DataStep::Hold if self.is_waiting() && held.len() > HELD => (DataStep::Reset, None),
            DataStep::Replace(bytes) => (DataStep::Replace([pings, &bytes].concat()), event),
            step => (step, event),
        }
    }

    /// Decides on the first frame, or on the part of it that has arrived.
    fn on_first_frame(
        &mut self,
        bytes: &[u8],
        end: bool,
        stream: StreamId,
        cx: &mut Cx<'_>,
    ) -> (DataStep, Option<Event>) {
        let (authorized, without_auth) = match self.stage {
            Stage::Authorized { without_auth } => (true, without_auth),
            _ => (false, false),
        };
        let limit = if authorized { TOKEN.saturating_add(FIRST_FRAME) } else { FIRST_FRAME };
        match first_frame::read(bytes, limit) {
            FirstFrame::Incomplete if end => (DataStep::Reset, None),
            FirstFrame::Incomplete => (DataStep::Hold, None),
            FirstFrame::Auth(auth) if authorized => (self.pass(auth, bytes, stream, cx), None),
            FirstFrame::Auth(auth) => self.authorize_first_frame(auth, bytes, stream, cx),
            FirstFrame::Close | FirstFrame::Other(_) | FirstFrame::Invalid if without_auth => {
                self.stage = Stage::Passing;
                (DataStep::Pass, None)
            }
            // The client leaves. Its close frame is replaced, and no one is refused.
            FirstFrame::Close => {
                self.stage = Stage::Closed;
                (DataStep::Replace(websocket::close(NORMAL, "", MASK)), None)
            }
            FirstFrame::Other(why) if !authorized => {
                let refusal = Refusal::new(Reason::FirstFrame)
                    .seen(why)
                    .wanted("an auth message with a token");
                self.close(POLICY, &refusal)
            }
            FirstFrame::Ping(_) | FirstFrame::Other(_) | FirstFrame::Invalid => {
                (DataStep::Reset, None)
            }
        }
    }

    /// Splits the held bytes into leading pings and the rest.
    ///
    /// Pings pass before authentication, because clients wait for the pong before they
    /// authenticate. Returns `None` if an unauthenticated client has sent too many.
    fn split_pings<'a>(&self, held: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let mut at = 0_usize;
        while let FirstFrame::Ping(length) = first_frame::read(held.get(at..)?, FIRST_FRAME) {
            at = at.saturating_add(length);
            let bounded = matches!(self.stage, Stage::Unauthenticated(_));
            if bounded && self.pings.saturating_add(at) > PINGS {
                return None;
            }
        }
        held.split_at_checked(at)
    }

    fn pass(&mut self, auth: AuthFrame, bytes: &[u8], stream: StreamId, cx: &Cx<'_>) -> DataStep {
        let (mut passed, rest) = auth.rewrite(bytes, &cx.site.config().secrets.prefect);
        if cx.site.sockets.find(stream).is_none_or(|open| open.filtered) {
            self.stage = Stage::Filtered(EventFilter::default());
            passed.extend(self.filter_events(rest));
        } else {
            self.stage = Stage::Passing;
            passed.extend(rest);
        }
        DataStep::Replace(passed)
    }

    /// Returns what may pass of bytes after the auth frame, for a client that may not see all
    /// events.
    fn filter_events(&mut self, bytes: &[u8]) -> Vec<u8> {
        let Stage::Filtered(filter) = &mut self.stage else { return Vec::new() };
        let (mut passed, progress) = filter.read(bytes);
        match progress {
            FilterProgress::Incomplete => {}
            FilterProgress::Complete => self.stage = Stage::Passing,
            FilterProgress::ClientCloses => {
                self.stage = Stage::Closed;
                passed.extend(websocket::close(NORMAL, "", MASK));
            }
            FilterProgress::Invalid => {
                self.stage = Stage::Closed;
                passed.extend(websocket::close(PROTOCOL, "A filter was expected.", MASK));
            }
        }
        passed
    }

    fn authorize_first_frame(
        &mut self,
        auth: AuthFrame,
        bytes: &[u8],
        stream: StreamId,
        cx: &mut Cx<'_>,
    ) -> (DataStep, Option<Event>) {
        let Some(presented) = auth.token().and_then(in_auth_message) else {
            let refusal = Refusal::new(Reason::FirstFrame)
                .seen("no readable token")
                .wanted("name:secret, a key or a token");
            return self.close(POLICY, &refusal);
        };
        let permit = match cx.site.verify_credential(&presented, stream, cx.peer, cx.now) {
            Ok(identity) => {
                let roles = &cx.site.config().roles;
                authorize::identity(identity, &self.known.operation(), roles)
            }
            Err(AuthenticationError::Refused(refusal)) => Err(refusal),
            Err(AuthenticationError::Asking) if self.query == ProviderQuery::No => {
                self.query = ProviderQuery::Pending;
                cx.site.pending.first_frame_arrived(stream, cx.now);
                return (DataStep::Hold, None);
            }
            Err(AuthenticationError::Asking) => Err(Refusal::no_answer_about_a_credential()),
            Err(AuthenticationError::NoKeys) => Err(Refusal::no_keys()),
            Err(AuthenticationError::UnknownKey { issuer, kid }) => {
                // The fetched key is for the client's next attempt.
                cx.site.keys.want_fresher(issuer, cx.now);
                Err(Refusal::new(Reason::NotReady)
                    .seen(format!("kid {kid}"))
                    .wanted("a key of the issuer"))
            }
        };
        let permit = permit.and_then(|permit| {
            let has_slot = cx.site.sockets.take(stream, &self.known, &permit);
            if has_slot { Ok(permit) } else { Err(too_many()) }
        });
        match permit {
            Ok(permit) => {
                cx.site.pending.release(stream);
                let event = Event::forwarded(&permit);
                (self.pass(auth, bytes, stream, cx), Some(event))
            }
            Err(refusal) => {
                let transient = refusal.reason.meaning().status >= 500;
                self.close(if transient { TRY_AGAIN } else { POLICY }, &refusal)
            }
        }
    }

    /// Replaces the held frame by a close frame. Prefect's echo brings the code to the client.
    fn close(&mut self, code: u16, refusal: &Refusal) -> (DataStep, Option<Event>) {
        // The slot is not given back here. If Prefect does not close, the socket ends as a silent
        // one does.
        self.stage = Stage::Closed;
        let reason = self.known.close_reason(refusal.reason);
        (DataStep::Replace(websocket::close(code, reason, MASK)), Some(Event::refused(refusal)))
    }
}

/// Returns the refusal of a principal that has the maximum number of open sockets.
pub(crate) fn too_many() -> Refusal {
    Refusal::busy("too many open sockets of one principal, or of people")
}

#[cfg(test)]
impl Socket {
    super::state_names! {
        stage_name(self, (&self.stage, self.open)), STAGES:
        (Stage::Unauthenticated(_), false) => "Socket, handshake",
        (Stage::Unauthenticated(_), true) if self.is_waiting() => "Socket, asking the provider",
        (Stage::Unauthenticated(_), true) => "Socket, open without a credential",
        (Stage::Authorized { .. }, false) => "Socket, authorized handshake",
        (Stage::Authorized { .. }, true) => "Socket, authorized by header",
        (Stage::Filtered(_), _) => "Socket, filter expected",
        (Stage::Passing, _) => "Socket, passing",
        (Stage::Closed, _) => "Socket, closed",
    }
}
