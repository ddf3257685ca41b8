//! The state that the root context and its requests share, and the path from an event to its
//! effect.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::collections::HashMap;
use std::rc::{Rc, Weak};

use lictor_core::{
    Callout, CalloutReply, Cx, Decision, Event, Gate, Metric, RequestView, Site, SiteCall,
    StreamId, Task,
};
use proxy_wasm::types::{BufferType, MapType};

use crate::host::{self, HostEntropy, HostPeer};

/// The owner of an HTTP call.
#[derive(Clone, Copy)]
enum Caller {
    Site(SiteCall),
    Stream(StreamId),
}

/// The state that the root context and its requests share.
///
/// No borrow is held over a host call that could call back into the VM. Envoy defers resuming,
/// answering and callout replies until the current event has ended.
pub struct Shared {
    root: u32,
    site: RefCell<Option<Site>>,
    plugin: RefCell<Vec<u8>>,
    gates: RefCell<HashMap<StreamId, Gate>>,
    calls: RefCell<HashMap<u32, Caller>>,
    metrics: RefCell<HashMap<Metric, Option<u32>>>,
    tick: Cell<Duration>,
}

thread_local! {
    /// The state of the last accepted configuration of each plugin of this VM, by the plugin's
    /// name.
    ///
    /// A request stays with the configuration under which it arrived. The newest configuration
    /// decides whether its socket may stay open.
    static NEWEST: RefCell<HashMap<Vec<u8>, Weak<Shared>>> = RefCell::default();
}

fn newest(plugin: &[u8]) -> Option<Rc<Shared>> {
    NEWEST.with_borrow(|newest| newest.get(plugin)?.upgrade())
}

impl Shared {
    pub fn new(root: u32) -> Self {
        Self {
            root,
            site: RefCell::new(None),
            plugin: RefCell::default(),
            gates: RefCell::default(),
            calls: RefCell::default(),
            metrics: RefCell::default(),
            tick: Cell::new(Duration::ZERO),
        }
    }

    /// Takes over the site of an accepted configuration, and starts the timer.
    pub fn install(self: &Rc<Self>, site: Site) {
        self.site.replace(Some(site));
        let plugin = host::plugin();
        NEWEST.with_borrow_mut(|newest| newest.insert(plugin.clone(), Rc::downgrade(self)));
        self.plugin.replace(plugin);
        self.tick_in(Duration::from_millis(1));
    }

    fn tick_in(&self, period: Duration) {
        if self.tick.replace(period) != period {
            host::tick_in(period);
        }
    }

    /// Creates the gate of a new request.
    pub fn begin(&self, stream: StreamId) {
        self.gates.borrow_mut().insert(stream, Gate::new(stream));
    }

    /// Passes one event to the gate of a request.
    ///
    /// While the gate handles it, a gate that refuses takes its place. Returns `None` without a
    /// configuration, or for a request that is not known or no longer known.
    pub fn event<T>(
        &self,
        stream: StreamId,
        event: impl FnOnce(&mut Gate, &mut Cx<'_>) -> T,
    ) -> Option<T> {
        let mut site = self.site.try_borrow_mut().ok()?;
        let site = site.as_mut()?;
        let mut gate = match self.gates.borrow_mut().get_mut(&stream) {
            Some(gate) => core::mem::replace(gate, Gate::refusing(stream)),
            None => return None,
        };
        let now = host::now();
        let mut entropy = HostEntropy;
        let result =
            event(&mut gate, &mut Cx { site, now, entropy: &mut entropy, peer: &HostPeer });
        if let Some(event) = gate.take_event() {
            self.record(&event);
        }
        self.gates.borrow_mut().insert(stream, gate);
        let rest = site.next_poll(now);
        if rest < self.tick.get() {
            self.tick_in(rest);
        }
        Some(result)
    }

    /// Asks the gate of a request a question, without an event.
    pub fn ask<T>(&self, stream: StreamId, question: impl FnOnce(&Gate) -> T) -> Option<T> {
        self.gates.borrow().get(&stream).map(question)
    }

    /// Forgets a request that has ended.
    pub fn finish(&self, stream: StreamId) {
        let gate = self.gates.borrow_mut().remove(&stream);
        if let Some(mut gate) = gate {
            let _ = self.with_site(|site| gate.finish(site));
        }
        self.calls
            .borrow_mut()
            .retain(|_, caller| !matches!(caller, Caller::Stream(own) if *own == stream));
    }

    fn record(&self, event: &Event) {
        let metric = event.metric();
        let mut metrics = self.metrics.borrow_mut();
        let number = *metrics.entry(metric).or_insert_with(|| host::counter(&metric.name()));
        if let Some(number) = number {
            host::count(number);
        }
        for (name, value) in event.fields() {
            host::show(name, value);
        }
        if let Some(line) = &event.line {
            log::warn!("{line}");
        }
    }

    /// Sends a request's own call. The caller must treat an error as a reply.
    pub fn call(&self, stream: StreamId, callout: &Callout) -> Result<(), ()> {
        let token = host::dispatch(callout).map_err(|_| ())?;
        self.calls.borrow_mut().insert(token, Caller::Stream(stream));
        Ok(())
    }

    /// Passes the reply to a call to its owner, the site or a request.
    pub fn on_call(&self, token: u32, body_size: usize) {
        let Some(caller) = self.calls.borrow_mut().remove(&token) else { return };
        let headers = host::headers(MapType::HttpCallResponseHeaders).unwrap_or_default();
        let body = host::buffer(BufferType::HttpCallResponseBody, body_size);
        let header =
            |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_slice());
        let status = header(":status").and_then(|s| core::str::from_utf8(s).ok()?.parse().ok());
        let encoded = header("content-encoding").is_some_and(|e| e != b"identity");
        let reply = match (status, &body) {
            (Some(status), Some(body)) => CalloutReply::Answer { status, encoded, body },
            _ => CalloutReply::NoAnswer,
        };
        match caller {
            Caller::Site(call) => {
                self.site_reply(call, reply);
                self.work();
            }
            Caller::Stream(stream) => {
                self.decide_later(stream, |gate, request, cx| gate.on_callout(reply, request, cx));
            }
        }
    }

    /// Passes an event to the gate outside the request's header callback, and applies the decision.
    pub fn decide_later(
        &self,
        stream: StreamId,
        decide: impl FnOnce(&mut Gate, RequestView<'_>, &mut Cx<'_>) -> Decision,
    ) {
        if host::act_as(stream.0).is_err() || !self.gates.borrow().contains_key(&stream) {
            // The client has gone.
            return;
        }
        let headers = host::headers(MapType::HttpRequestHeaders).unwrap_or_default();
        let request = RequestView { headers: &headers };
        let decision = self.event(stream, |gate, cx| decide(gate, request, cx));
        crate::apply::later(self, stream, decision);
    }

    fn site_reply(&self, call: SiteCall, reply: CalloutReply<'_>) {
        let _ = self.with_site(|site| site.on_callout(call, reply, host::now()));
    }

    /// Wakes a request whose data is held. `most` limits how many held bytes are read.
    fn wake_with_data(&self, stream: StreamId, most: usize) {
        if host::act_as(stream.0).is_err() {
            return;
        }
        let step = host::buffer(BufferType::HttpRequestBody, most).and_then(|held| {
            let step = self.event(stream, |gate, cx| gate.on_data_wake(&held, cx))?;
            Some((held.len(), step))
        });
        let (size, step) = step.unzip();
        crate::apply::held_data(size.unwrap_or_default(), step);
    }

    fn act_as_root(&self) {
        if let Err(status) = host::act_as(self.root) {
            log::error!("the host refuses the root context: {status:?}");
        }
    }

    /// Does the site's due work. Only the root context may call this.
    ///
    /// The calls belong to the root context, so they outlive the requests that wait for them.
    pub fn work(&self) {
        while let Some(task) = self.with_site(|site| site.next_task(host::now())).flatten() {
            match task {
                Task::Call(call, callout) => match host::dispatch(&callout) {
                    Ok(token) => {
                        self.calls.borrow_mut().insert(token, Caller::Site(call));
                    }
                    Err(_) => self.site_reply(call, CalloutReply::NoAnswer),
                },
                Task::Notice(line) => log::info!("{line}"),
                Task::Wake(stream) => {
                    self.wake(stream);
                    self.act_as_root();
                }
                Task::Reply(stream, reply) => {
                    if host::act_as(stream.0).is_ok() {
                        host::answer(&reply);
                    }
                    self.act_as_root();
                }
            }
        }
        self.end_sockets();
        let rest = self.with_site(|site| site.next_poll(host::now()));
        self.tick_in(rest.unwrap_or(Duration::from_secs(1)));
    }

    /// Wakes a request whose wait has ended.
    fn wake(&self, stream: StreamId) {
        if self.ask(stream, Gate::is_waiting) == Some(true) {
            self.decide_later(stream, Gate::on_wake);
        } else if let Some(Some(most)) = self.ask(stream, Gate::waits_with_data) {
            self.wake_with_data(stream, most);
        }
    }

    /// Ends the sockets that the site names.
    ///
    /// A socket may be older than the newest settings, which decide. If their site is in use
    /// elsewhere, the next tick tries again.
    fn end_sockets(&self) {
        let now = host::now();
        let newest = newest(&self.plugin.borrow()).filter(|newest| !core::ptr::eq(&**newest, self));
        let ended = match newest {
            None => self.with_site(|site| site.sockets_to_end(None, now)),
            Some(newest) => newest
                .with_site(|newer| self.with_site(|site| site.sockets_to_end(Some(newer), now)))
                .flatten(),
        };
        let Some(ended) = ended else { return };
        if ended.is_empty() {
            return;
        }
        for stream in ended {
            if host::act_as(stream.0).is_ok() {
                host::reset();
            }
        }
        self.act_as_root();
    }

    fn with_site<T>(&self, work: impl FnOnce(&mut Site) -> T) -> Option<T> {
        Some(work(self.site.try_borrow_mut().ok()?.as_mut()?))
    }
}
