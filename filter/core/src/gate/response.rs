//! Prefect's response: header edits for browsers, faults of Lictor's settings, rewritten bodies.

use std::rc::Rc;

use super::forwarded::Forwarded;
use super::{Cx, Gate, Interest, State};
use crate::answer::reply::Reply;
use crate::config::Config;
use crate::foundation::limits::MASKED_BODY;
use crate::gate::decision::{DataStep, ResponseStep};
use crate::identity::principal::Principal;
use crate::identity::role::Role;
use crate::prefect::response as hygiene;
use crate::prefect::rewrite::{Rewrite, Rewritten};
use crate::refusal::{Reason, Refusal};
use crate::telemetry::event::Event;
use crate::wire::http::client::ClientKind;
use crate::wire::http::edit::HeaderEdit;
use crate::wire::http::request::ResponseView;

impl Gate {
    /// Decides on the headers of Prefect's response.
    pub fn on_response(&mut self, response: ResponseView<'_>, cx: &mut Cx<'_>) -> ResponseStep {
        if let Some(reply) = self.answered_before_body(response.status(), cx) {
            return ResponseStep::Replace(reply);
        }
        // The user may have signed out while Prefect was answering. Then no cookie may renew the
        // session.
        if !self.set_cookies.is_empty()
            && self.session.as_ref().is_some_and(|session| cx.site.is_ended(session, cx.now))
        {
            self.set_cookies.clear();
        }
        let forwarded = match &mut self.state {
            State::Forwarded(forwarded) => forwarded,
            // The request ends with this error. Its headers are edited as those of any other
            // response.
            State::AwaitingBody(pending) => &mut pending.forwarded,
            _ => return ResponseStep::Edit(HeaderEdit::default()),
        };
        let config = cx.site.config();
        let status = response.status();
        if status == 0 {
            // The host always gives a status. Without it nothing is known about the response.
            return ResponseStep::Replace(Reply::unavailable());
        }
        if let Some(socket) = &mut forwarded.socket {
            if status == 101 {
                socket.opened();
                cx.site.pending.upgrade_accepted(self.stream, cx.now);
                return ResponseStep::Edit(HeaderEdit::default());
            }
            socket.refused();
            cx.site.pending.release(self.stream);
            cx.site.sockets.release(self.stream);
        }
        if matches!(status, 502..=504) && cx.peer.is_answered_by_envoy() {
            let (client, identity) = (forwarded.client, forwarded.identity.take());
            let refusal = Refusal::new(Reason::PrefectUnreachable)
                .seen(format!("no response of Prefect; Envoy gave {status}"))
                .wanted("a response within the limits of the cluster, see Envoy's access log");
            return self.refuse_response(refusal, identity, client, &config);
        }
        if status == 401 && forwarded.injected {
            let refusal = Refusal::new(Reason::PrefectSecret).seen("401 from Prefect").wanted(
                "LICTOR_PREFECT_AUTH_STRING to be Prefect's PREFECT_SERVER_API_AUTH_STRING",
            );
            let (client, identity) = (forwarded.client, forwarded.identity.take());
            return self.refuse_response(refusal, identity, client, &config);
        }
        forwarded.rewrite = forwarded.rewrite.by_answer(response);
        if let Some(length) = forwarded.rewrite.too_long(response) {
            let (client, identity) = (forwarded.client, forwarded.identity.take());
            let refusal = Refusal::new(Reason::MaskedTooLarge)
                .seen(format!("a response of {length} bytes"))
                .wanted(format!("at most {MASKED_BODY} bytes, or a role that may see all of it"));
            return self.refuse_response(refusal, identity, client, &config);
        }
        let cookies = core::mem::take(&mut self.set_cookies);
        let setting_no_cookie = cookies.is_empty();
        let mut edit = if forwarded.browser {
            hygiene::for_session(response, &config, forwarded.content, !cookies.is_empty())
        } else {
            hygiene::for_machine(response, &config)
        };
        edit.add.extend(cookies.into_iter().map(|value| ("set-cookie", value.into_bytes())));
        if let Some(caching) = forwarded.rewrite.caching() {
            describe_rewritten(&mut edit, setting_no_cookie.then_some(caching));
        }
        ResponseStep::Edit(edit)
    }

    fn refuse_response(
        &mut self,
        refusal: Refusal,
        identity: Option<(Rc<Principal>, Option<Role>)>,
        client: ClientKind,
        config: &Config,
    ) -> ResponseStep {
        let refusal = match identity {
            Some((principal, role)) => refusal.by(&principal, role),
            None => refusal,
        };
        self.event = Some(Event::refused(&refusal));
        let reply = Reply::refusal(&refusal, self.answer_context(client, config));
        ResponseStep::Replace(self.with_pending_cookies(reply))
    }

    /// Returns how much of Prefect's response body the gate must see.
    #[must_use]
    pub(crate) const fn response_data(&self) -> Interest {
        match &self.state {
            State::Forwarded(Forwarded { socket: Some(_), .. }) => Interest::Time,
            State::Forwarded(Forwarded { rewrite: Rewrite::Nothing, .. }) => Interest::None,
            State::Forwarded(_) => Interest::Whole,
            _ => Interest::None,
        }
    }

    /// Decides on trailers from Prefect.
    ///
    /// The last bytes of a body with trailers are not marked as its end. A body that is rewritten
    /// is then still held, so the stream is reset. Prefect's responses have no trailers.
    pub(crate) const fn response_trailers(&self) -> DataStep {
        match &self.state {
            State::Forwarded(Forwarded { socket: None, rewrite, .. })
                if !matches!(rewrite, Rewrite::Nothing) =>
            {
                DataStep::Reset
            }
            _ => DataStep::Pass,
        }
    }

    /// Decides on body bytes from Prefect.
    ///
    /// `held` is the whole body so far if it is rewritten, and `end` says that the
    /// body ends with it. For an open socket the bytes pass while its credential is valid.
    pub(crate) fn on_response_data(&mut self, held: &[u8], end: bool, cx: &mut Cx<'_>) -> DataStep {
        let State::Forwarded(forwarded) = &mut self.state else { return DataStep::Pass };
        if let Some(socket) = &forwarded.socket {
            let has_ended = socket.is_over(self.stream, cx);
            return if has_ended { DataStep::Reset } else { DataStep::Pass };
        }
        let step = match forwarded.rewrite.apply(held, end, &cx.site.config()) {
            Rewritten::NotYet => return DataStep::Hold,
            Rewritten::Same => DataStep::Pass,
            Rewritten::Instead(bytes) => DataStep::Replace(bytes),
            Rewritten::Nothing => {
                cx.site.notice(format!(
                    "a response of Prefect could not be masked ({} bytes), and was cut off request={}",
                    held.len(),
                    self.request_id.as_deref().unwrap_or("-")
                ));
                DataStep::Reset
            }
        };
        forwarded.rewrite = Rewrite::Nothing;
        step
    }
}

/// Edits the headers of a response whose body is rewritten, and thereby changes its length.
///
/// A stale length would desynchronize the connection. `caching` replaces `Cache-Control`.
fn describe_rewritten(edit: &mut HeaderEdit, caching: Option<&'static str>) {
    let stale = ["content-length", "etag", "last-modified", "accept-ranges"];
    edit.remove.extend(stale.map(Into::into));
    if let Some(caching) = caching {
        edit.set.retain(|(name, _)| *name != "cache-control");
        edit.set.push(("cache-control", caching.as_bytes().to_vec()));
    }
}
