//! A module that runs.

use core::cell::RefCell;
use core::time::Duration;
use std::rc::Rc;

use wasmi::{Error, Instance, Linker, Store, Val};

use crate::abi;
use crate::calls::{CallAnswer, HttpCall, Token};
use crate::exports::{Exports, narrow};
use crate::failures::{Failure, Fault};
use crate::headers::Headers;
use crate::host::Host;
use crate::module::Module;
use crate::record::HostCall;
use crate::shared_data::SharedData;
use crate::stream::{Stream, StreamId};

/// One VM of one worker. Nothing here panics or fails: what the module does wrong shows in
/// [`Vm::dead`] and in what became of the requests.
pub struct Vm {
    pub(crate) store: Store<Host>,
    instance: Option<Instance>,
    pub(crate) dead: Option<String>,
    pub(crate) next_context: u32,
}

impl Vm {
    /// Starts a module; it has no configuration yet.
    #[must_use]
    pub fn load(module: &Module) -> Self {
        let store = Store::new(&module.engine, Host::new());
        let mut vm = Self { store, instance: None, dead: None, next_context: 1 };
        if module.counted {
            // The engine counts down.
            let _ = vm.store.set_fuel(u64::MAX);
        }
        match vm.instantiate(module) {
            Ok(instance) => {
                vm.instance = Some(instance);
                vm.enter("_initialize", 0, &[]);
            }
            Err(cause) => vm.dead = Some(cause.to_string()),
        }
        vm
    }

    fn instantiate(&mut self, module: &Module) -> Result<Instance, Error> {
        let mut linker = Linker::new(&module.engine);
        abi::define(&mut linker, &module.module)?;
        let instance = linker.instantiate_and_start(&mut self.store, &module.module)?;
        self.store.data_mut().exports = Some(Exports::of(instance, &mut self.store)?);
        Ok(instance)
    }

    /// Sets a variable of the environment.
    pub fn set_environment(&mut self, name: &str, value: &str) {
        self.host().environment.push((name.to_owned(), value.to_owned()));
    }

    /// Adds a cluster; calls to others are refused.
    pub fn add_cluster(&mut self, name: &str) {
        self.host().clusters.push(name.to_owned());
    }

    /// Whether the host has foreign functions; hosts other than Envoy have none.
    pub fn set_foreign_functions(&mut self, there: bool) {
        self.host().foreign_functions = there;
    }

    /// Where randomness begins; two VMs that begin at one place draw the same numbers.
    pub fn seed(&mut self, seed: u64) {
        self.host().entropy = seed;
    }

    /// Shares the data of another worker.
    pub fn share(&mut self, data: &Rc<RefCell<SharedData>>) {
        self.host().shared = Rc::clone(data);
    }

    /// What workers share.
    #[must_use]
    pub fn shared(&self) -> &Rc<RefCell<SharedData>> {
        &self.store.data().shared
    }

    /// Configures the plugin, or configures it anew. Requests from now on belong to the new
    /// configuration, those that are there stay with theirs. Gives whether it was accepted.
    pub fn configure(&mut self, text: &str) -> bool {
        let root = self.next_context();
        let first = self.host().roots.is_empty();
        let newest = self.host().roots.last_key_value().map(|(root, _)| *root);
        self.host().roots.insert(root, Duration::ZERO);
        self.enter("proxy_on_context_create", root, &[root, 0]);
        if first {
            self.enter("proxy_on_vm_start", root, &[root, 0]);
        }
        self.host().configuration = Some(text.as_bytes().to_vec());
        let accepted =
            self.enter("proxy_on_configure", root, &[root, narrow(text.len())]) == Some(1);
        self.host().configuration = None;
        if !accepted && newest.is_some() {
            self.host().roots.remove(&root);
        }
        accepted
    }

    pub(crate) fn next_context(&mut self) -> u32 {
        let context = self.next_context;
        self.next_context += 1;
        context
    }

    /// The clock.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.store.data().now
    }

    /// Moves the clock; nothing else happens.
    pub fn pass(&mut self, time: Duration) {
        self.host().now += time;
    }

    /// One tick of every timer that is set.
    pub fn tick(&mut self) {
        let due = self.host().roots.iter().filter(|(_, period)| !period.is_zero());
        for root in due.map(|(root, _)| *root).collect::<Vec<_>>() {
            self.enter("proxy_on_tick", root, &[root]);
            self.settle();
        }
    }

    /// When the next tick comes; `None` if no timer is set.
    #[must_use]
    pub fn period(&self) -> Option<Duration> {
        self.store.data().roots.values().filter(|period| !period.is_zero()).min().copied()
    }

    /// The calls that wait for an answer.
    #[must_use]
    pub fn calls(&self) -> &[HttpCall] {
        &self.store.data().calls
    }

    /// Answers a call. `headers` are its head, `:status` included; without any the connection
    /// broke.
    pub fn answer(&mut self, token: Token, headers: Headers, body: &[u8]) {
        let calls = &mut self.host().calls;
        let Some(place) = calls.iter().position(|call| call.token == token) else { return };
        let context = calls.remove(place).context;
        let (lines, length) = (narrow(headers.len()), narrow(body.len()));
        if !headers.is_empty() {
            self.host().call_answer = Some(CallAnswer { headers, body: body.to_vec() });
        }
        let arguments = [context, token.0, lines, length, 0];
        self.enter("proxy_on_http_call_response", context, &arguments);
        self.host().call_answer = None;
        self.settle();
    }

    /// Names the part of the test that follows, for [`HostCall::step`].
    pub fn step(&mut self, name: &str) {
        self.host().step = name.into();
    }

    /// Every call of the module to its host, in order.
    #[must_use]
    pub fn record(&self) -> &[HostCall] {
        &self.store.data().record
    }

    /// Lets the calls fail for which the test says yes. They are asked about in order, before they
    /// are made.
    pub fn fail(&mut self, which: impl FnMut(&HostCall) -> bool + 'static, fault: Fault) {
        self.host().failures.push(Failure::new(which, fault));
    }

    /// How many instructions the module has run, if it is one that [`Module::counted`] gives. Moving
    /// a block of memory costs one for each 64 bytes.
    #[must_use]
    pub fn instructions(&self) -> u64 {
        self.store.get_fuel().map_or(0, |left| u64::MAX.saturating_sub(left))
    }

    /// Why the module runs no more.
    #[must_use]
    pub fn dead(&self) -> Option<&str> {
        self.dead.as_deref()
    }

    /// Lines of the module's log, each with its level.
    #[must_use]
    pub fn logs(&self) -> &[(u32, String)] {
        &self.store.data().logs
    }

    /// The module's counters.
    #[must_use]
    pub fn counters(&self) -> &[(String, u64)] {
        &self.store.data().counters
    }

    /// A request.
    #[must_use]
    pub fn stream(&self, id: StreamId) -> Option<&Stream> {
        self.store.data().streams.get(&id.0)
    }

    pub(crate) fn exports(&self) -> Option<Exports> {
        self.store.data().exports
    }

    pub(crate) fn host(&mut self) -> &mut Host {
        self.store.data_mut()
    }

    /// Calls an export of the module, as a callback of a context. `None` if the module runs no
    /// more.
    pub(crate) fn enter(
        &mut self,
        name: &'static str,
        context: u32,
        arguments: &[u32],
    ) -> Option<u32> {
        if self.dead.is_some() {
            return None;
        }
        let host = self.host();
        (host.context, host.callback, host.effective) = (context, name, None);
        host.stopped = false;
        host.entries += 1;
        match self.call_export(name, arguments) {
            Ok(result) => Some(result),
            Err(cause) => {
                self.dead = Some(format!("{name}: {cause}"));
                None
            }
        }
    }

    fn call_export(&mut self, name: &str, arguments: &[u32]) -> Result<u32, Error> {
        let function = self.instance.and_then(|module| module.get_func(&self.store, name));
        // A module need not export every callback.
        let Some(function) = function else { return Ok(0) };
        let number = |argument: &u32| Val::I32(argument.cast_signed());
        let arguments: Vec<_> = arguments.iter().map(number).collect();
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        function.call(&mut self.store, &arguments, &mut results)?;
        Ok(results.first().and_then(Val::i32).unwrap_or(0).cast_unsigned())
    }
}
