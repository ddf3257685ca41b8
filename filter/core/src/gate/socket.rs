//! A forwarded socket: what its client sends is held until the first frame has been judged.

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

/// See the module.
pub(crate) struct Socket {
    known: KnownSocket,
    stage: Stage,
    /// Prefect has accepted the upgrade.
    open: bool,
    asked: ProviderQuery,
    /// Bytes of pings that have passed unjudged.
    pings: usize,
}

/// Whether the provider must be asked about the first frame.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ProviderQuery {
    No,
    /// It is being asked: the frame stays where it is.
    Pending,
    Answered,
}

enum Stage {
    /// Nobody is proved: nothing passes.
    Unauthenticated(Slot),
    /// Proved by header: the first frame's token is replaced all the same. Clients of 3.4.13 send
    /// events without an auth frame, and without a subprotocol.
    Authorized { without_auth: bool },
    /// Proved, but some events are not for it: what it asks for is read as well.
    Filtered(EventFilter),
    /// Bytes pass unparsed.
    Passing,
    /// Refused, or left: nothing passes any more.
    Closed,
}

/// A mask for frames that Lictor writes itself; masking hides nothing here (RFC 6455 §10.3 is
/// about caches between browser and server, and this frame goes from Envoy to Prefect).
const MASK: [u8; 4] = [0x4c, 0x69, 0x63, 0x74];

impl Socket {
    /// A socket whose upgrade carried a credential.
    pub(crate) fn authorized(known: KnownSocket, request: RequestView<'_>) -> Self {
        let without_auth = known.is_events_in() && !request.has("sec-websocket-protocol");
        Self::at(known, Stage::Authorized { without_auth })
    }

    /// A socket that is judged by its first frame.
    pub(crate) const fn unauthenticated(known: KnownSocket, slot: Slot) -> Self {
        Self::at(known, Stage::Unauthenticated(slot))
    }

    const fn at(known: KnownSocket, stage: Stage) -> Self {
        Self { known, stage, open: false, asked: ProviderQuery::No, pings: 0 }
    }

    /// What is wanted of the client's bytes.
    pub(crate) const fn client_data(&self) -> Interest {
        match self.stage {
            Stage::Unauthenticated(_) | Stage::Authorized { .. } | Stage::Filtered(_) => {
                Interest::Bytes
            }
            Stage::Passing | Stage::Closed => Interest::Time,
        }
    }

    /// Prefect answered 101.
    pub(crate) const fn opened(&mut self) {
        self.open = true;
    }

    /// Whether what opened it is good no more. One that the site does not know is over as well.
    pub(crate) fn is_over(&self, stream: StreamId, cx: &mut Cx<'_>) -> bool {
        match self.stage {
            Stage::Authorized { .. } | Stage::Filtered(_) | Stage::Passing => {
                cx.site.socket_is_over(stream, cx.now)
            }
            Stage::Unauthenticated(_) | Stage::Closed => false,
        }
    }

    /// Whether its client's bytes are held until the provider has said who that is.
    pub(crate) const fn is_waiting(&self) -> bool {
        matches!(self.asked, ProviderQuery::Pending)
    }

    /// The provider has said it, or will not: the held bytes are judged from the beginning.
    pub(crate) fn on_wake(
        &mut self,
        held: &[u8],
        stream: StreamId,
        cx: &mut Cx<'_>,
    ) -> (DataStep, Option<Event>) {
        self.asked = ProviderQuery::Answered;
        self.on_client_data(held, false, stream, cx)
    }

    /// Bytes of the client.
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
            // Bytes before the 101 could become a request of their own at Prefect.
            return (DataStep::Reset, None);
        }
        let Some((pings, rest)) = self.split_pings(held) else { return (DataStep::Reset, None) };
        if rest.is_empty() {
            self.pings = self.pings.saturating_add(pings.len());
            return (DataStep::Pass, None);
        }
        let (step, event) = self.on_first_frame(rest, end, stream, cx);
        match step {
            // What stands behind what can be read again later would go on unjudged.
            DataStep::Hold if self.is_waiting() && held.len() > HELD => (DataStep::Reset, None),
            DataStep::Replace(bytes) => (DataStep::Replace([pings, &bytes].concat()), event),
            step => (step, event),
        }
    }

    /// The first frame, or as much of it as is there.
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
            // Nothing of what it says in leaving goes on, and nobody is refused.
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

    /// Leading pings and what follows them. Pings go on before anybody is judged: clients wait for
    /// their answer before they authenticate. They are bounded; `None` is too many.
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
        let (mut on, rest) = auth.rewrite(bytes, &cx.site.config().secrets.prefect);
        if cx.site.sockets.find(stream).is_none_or(|open| open.filtered) {
            self.stage = Stage::Filtered(EventFilter::default());
            on.extend(self.filter_events(rest));
        } else {
            self.stage = Stage::Passing;
            on.extend(rest);
        }
        DataStep::Replace(on)
    }

    /// What goes on of bytes behind the auth frame, where some events are not for the client.
    fn filter_events(&mut self, bytes: &[u8]) -> Vec<u8> {
        let Stage::Filtered(filter) = &mut self.stage else { return Vec::new() };
        let (mut on, said) = filter.read(bytes);
        match said {
            FilterProgress::Incomplete => {}
            FilterProgress::Complete => self.stage = Stage::Passing,
            FilterProgress::ClientCloses => {
                self.stage = Stage::Closed;
                on.extend(websocket::close(NORMAL, "", MASK));
            }
            FilterProgress::Invalid => {
                self.stage = Stage::Closed;
                on.extend(websocket::close(PROTOCOL, "A filter was expected.", MASK));
            }
        }
        on
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
            Err(AuthenticationError::Asking) if self.asked == ProviderQuery::No => {
                self.asked = ProviderQuery::Pending;
                cx.site.pending.first_frame_arrived(stream, cx.now);
                return (DataStep::Hold, None);
            }
            Err(AuthenticationError::Asking) => {
                Err(Refusal::new(Reason::ProviderUnreachable).seen("no verdict on credentials"))
            }
            Err(AuthenticationError::NoKeys) => {
                Err(Refusal::new(Reason::NotReady).seen("no keys yet"))
            }
            Err(AuthenticationError::UnknownKey { issuer, kid }) => {
                // The fetch is for the client's next try.
                cx.site.keys.want_fresher(issuer, cx.now);
                Err(Refusal::new(Reason::NotReady)
                    .seen(format!("kid {kid}"))
                    .wanted("a key of the issuer"))
            }
        };
        let permit = permit.and_then(|permit| {
            let place = cx.site.sockets.take(stream, &self.known, &permit);
            if place { Ok(permit) } else { Err(too_many()) }
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

    /// A close frame takes the held frame's place; Prefect's echo brings the code to the client.
    fn close(&mut self, code: u16, refusal: &Refusal) -> (DataStep, Option<Event>) {
        // Its place stays taken: if Prefect does not close, the socket ends as a silent one does.
        self.stage = Stage::Closed;
        let reason = self.known.close_reason(refusal.reason);
        (DataStep::Replace(websocket::close(code, reason, MASK)), Some(Event::refused(refusal)))
    }
}

/// A principal that has as many sockets open as one may have.
pub(crate) fn too_many() -> Refusal {
    Refusal::new(Reason::Busy).seen("too many open sockets of one principal")
}
