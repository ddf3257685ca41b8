//! The state that the root context and its requests share.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::collections::HashMap;
use std::rc::{Rc, Weak};

use lictor_core::{Callout, Cx, Event, Gate, Metric, Site, SiteCall, StreamId};

use crate::host::{self, HostEntropy, HostPeer};

/// The owner of an HTTP call.
#[derive(Clone, Copy)]
pub enum Caller {
    Site(SiteCall),
    Stream(StreamId),
}

/// The state that the root context and its requests share.
///
/// No borrow is held over a host call that could call back into the VM. Envoy defers resuming,
/// answering and callout replies until the current event has ended.
pub struct Shared {
    /// The id of the root context.
    pub root: u32,
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

    /// Sets the time until the next tick.
    pub fn tick_in(&self, period: Duration) {
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
        if let Some(event) = gate.take_event(site, now) {
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

    /// Sends a call from the present context. The sender must treat an error as a reply.
    pub fn call(&self, caller: Caller, callout: &Callout) -> Result<(), ()> {
        let token = host::dispatch(callout).map_err(|_| ())?;
        self.calls.borrow_mut().insert(token, caller);
        Ok(())
    }

    /// Returns and forgets the owner of a call.
    pub fn take_caller(&self, token: u32) -> Option<Caller> {
        self.calls.borrow_mut().remove(&token)
    }

    /// Returns the state of the newest configuration of this plugin, if it is another one.
    pub fn newer(&self) -> Option<Rc<Self>> {
        let plugin = self.plugin.borrow();
        let newest = NEWEST.with_borrow(|newest| newest.get(&*plugin)?.upgrade());
        newest.filter(|newest| !core::ptr::eq(&**newest, self))
    }

    /// Does something with the site. Returns `None` without a configuration, or while the site is
    /// in use.
    pub fn with_site<T>(&self, work: impl FnOnce(&mut Site) -> T) -> Option<T> {
        Some(work(self.site.try_borrow_mut().ok()?.as_mut()?))
    }
}
