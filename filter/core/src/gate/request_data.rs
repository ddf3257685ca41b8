//! What comes behind a request's head: bodies that an endpoint of ours reads, the first frames of sockets.

use super::forwarded::Forwarded;
use super::socket::Socket;
use super::{Cx, Gate, Interest, State};
use crate::foundation::limits::HELD;
use crate::gate::decision::DataStep;
use crate::refusal::Reason;

impl Gate {
    /// What is wanted of the client's body.
    #[must_use]
    pub(crate) fn request_data(&self) -> Interest {
        match &self.state {
            State::Forwarded(forwarded) => {
                forwarded.socket.as_ref().map_or(Interest::None, Socket::client_data)
            }
            State::EndpointBody(_) | State::AwaitingBody(_) => Interest::Bytes,
            // The body of a request that is not decided stays where it is.
            _ => Interest::Time,
        }
    }

    /// Body bytes of the client that are held: of sockets, until the first frame has been judged.
    /// `held` is everything that is held, `end` whether nothing more will come.
    pub(crate) fn on_request_data(&mut self, held: &[u8], end: bool, cx: &mut Cx<'_>) -> DataStep {
        match core::mem::replace(&mut self.state, State::Over) {
            State::EndpointBody(body) => self.endpoint_body_data(body, held, end, cx),
            State::AwaitingBody(judging) => self.operation_body_data(judging, held, end, cx),
            State::Forwarded(mut forwarded) => {
                let step = match &mut forwarded.socket {
                    Some(socket) => {
                        let (step, event) = socket.on_client_data(held, end, self.stream, cx);
                        self.event = event.or(self.event.take());
                        step
                    }
                    None => DataStep::Pass,
                };
                self.state = State::Forwarded(forwarded);
                step
            }
            // Envoy holds the body of a request that is not decided; nothing passes before.
            other => {
                self.state = other;
                DataStep::Hold
            }
        }
    }

    /// Trailers of the client's: they end the body, and what was held would go on with them.
    pub(crate) fn on_request_trailers(&mut self, cx: &mut Cx<'_>) -> DataStep {
        match core::mem::replace(&mut self.state, State::Over) {
            State::Forwarded(forwarded) => {
                // No socket has any, and one that is held would go on with them.
                let step =
                    if forwarded.socket.is_some() { DataStep::Reset } else { DataStep::Pass };
                // Its places are given back when it is gone.
                self.state = State::Forwarded(forwarded);
                step
            }
            State::EndpointBody(body) => self.endpoint_body_trailers(&body),
            // Nobody sends any there, and the body has not been seen to end.
            State::AwaitingBody(judging) => {
                self.authorize_body(*judging, None, Reason::RoleMissing, cx)
            }
            other => {
                self.state = other;
                DataStep::Hold
            }
        }
    }

    /// Whether it waits with bytes that are held for it, since its socket's first frame is being authorized:
    /// then at most how many. It is woken by [`Self::on_data_wake`].
    #[must_use]
    pub const fn waits_with_data(&self) -> Option<usize> {
        match &self.state {
            State::Forwarded(Forwarded { socket: Some(socket), .. }) if socket.is_waiting() => {
                Some(HELD)
            }
            _ => None,
        }
    }

    /// The site has what the socket waited for. `held` is everything that is held.
    pub fn on_data_wake(&mut self, held: &[u8], cx: &mut Cx<'_>) -> DataStep {
        let State::Forwarded(Forwarded { socket: Some(socket), .. }) = &mut self.state else {
            return DataStep::Hold;
        };
        let (step, event) = socket.on_wake(held, self.stream, cx);
        self.event = event.or(self.event.take());
        step
    }
}
