//! Events after the request headers: bodies that are read, and the first frames of sockets.

use super::forwarded::Forwarded;
use super::socket::Socket;
use super::{Cx, Gate, Interest, State};
use crate::foundation::limits::HELD;
use crate::gate::decision::DataStep;
use crate::refusal::Reason;

impl Gate {
    /// Returns how much of the client's body the gate must see.
    #[must_use]
    pub(crate) fn request_data(&self) -> Interest {
        match &self.state {
            State::Forwarded(forwarded) => {
                forwarded.socket.as_ref().map_or(Interest::None, Socket::client_data)
            }
            State::EndpointBody(_) | State::AwaitingBody(_) => Interest::Whole,
            // The body of a request that is not decided stays held.
            _ => Interest::Time,
        }
    }

    /// Decides on body bytes from the client.
    ///
    /// `held` is everything that the host holds, and `end` says that the body ends with it. Bytes
    /// of a socket are held until its first frame has been judged.
    pub(crate) fn on_request_data(&mut self, held: &[u8], end: bool, cx: &mut Cx<'_>) -> DataStep {
        match core::mem::replace(&mut self.state, State::Over) {
            State::EndpointBody(body) => self.endpoint_body_data(body, held, end, cx),
            State::AwaitingBody(pending) => self.operation_body_data(pending, held, end, cx),
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
            // Nothing passes before the request is decided; Envoy holds its body.
            other => {
                self.state = other;
                DataStep::Hold
            }
        }
    }

    /// Decides on trailers from the client, which end the body and would release what is held.
    pub(crate) fn on_request_trailers(&mut self, cx: &mut Cx<'_>) -> DataStep {
        match core::mem::replace(&mut self.state, State::Over) {
            State::Forwarded(forwarded) => {
                // No socket has trailers. They would release a first frame that is held.
                let step =
                    if forwarded.socket.is_some() { DataStep::Reset } else { DataStep::Pass };
                // `finish` gives back the socket's slots.
                self.state = State::Forwarded(forwarded);
                step
            }
            State::EndpointBody(body) => self.endpoint_body_trailers(&body, cx),
            // Prefect's clients send no trailers, and the gate has not seen the end of the body.
            State::AwaitingBody(pending) => {
                self.authorize_body(*pending, None, Reason::RoleMissing, cx)
            }
            other => {
                self.state = other;
                DataStep::Hold
            }
        }
    }

    /// Returns how many bytes the host may hold while the socket's first frame is being authorized.
    ///
    /// Returns `None` for a request that does not wait with data. [`Self::on_data_wake`] ends the
    /// wait.
    #[must_use]
    pub const fn waits_with_data(&self) -> Option<usize> {
        match &self.state {
            State::Forwarded(Forwarded { socket: Some(socket), .. }) if socket.is_waiting() => {
                Some(HELD)
            }
            _ => None,
        }
    }

    /// Continues a socket whose first frame waited for the site. `held` is everything that the host
    /// holds.
    pub fn on_data_wake(&mut self, held: &[u8], cx: &mut Cx<'_>) -> DataStep {
        let State::Forwarded(Forwarded { socket: Some(socket), .. }) = &mut self.state else {
            return DataStep::Hold;
        };
        let (step, event) = socket.on_wake(held, self.stream, cx);
        self.event = event.or(self.event.take());
        step
    }
}
