//! What the host knows while the module runs.

use core::time::Duration;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::calls::{CallAnswer, HttpCall, Token};
use crate::exports::Exports;
use crate::failures::{Failure, Fault};
use crate::headers::{Headers, first};
use crate::record::HostCall;
use crate::shared_data::SharedData;
use crate::status;
use crate::stream::{Answer, Stream};

/// Something that a host call began and that happens when the callback is over, as in Envoy.
pub enum Deferred {
    Continue(u32),
    Reset(u32),
    Answer(u32, Answer),
}

/// See the module.
pub struct Host {
    pub exports: Option<Exports>,
    pub now: Duration,
    pub environment: Vec<(String, String)>,
    pub clusters: Vec<String>,
    pub plugin_name: String,
    pub foreign_functions: bool,
    /// The configuration, while the module is being configured.
    pub configuration: Option<Vec<u8>>,
    pub shared: Rc<RefCell<SharedData>>,
    /// The tick period of each root context.
    pub roots: BTreeMap<u32, Duration>,
    pub streams: BTreeMap<u32, Stream>,
    pub calls: Vec<HttpCall>,
    pub next_call: u32,
    pub call_answer: Option<CallAnswer>,
    /// The context whose callback runs.
    pub context: u32,
    pub callback: &'static str,
    pub entries: usize,
    /// The context that the module wants to act as.
    pub effective: Option<u32>,
    pub deferred: Vec<Deferred>,
    /// A callback that has answered cannot let its request go on.
    pub stopped: bool,
    pub logs: Vec<(u32, String)>,
    pub counters: Vec<(String, u64)>,
    pub entropy: u64,
    pub record: Vec<HostCall>,
    pub step: Rc<str>,
    pub failures: Vec<Failure>,
}

impl Host {
    pub fn new() -> Self {
        Self {
            exports: None,
            now: Duration::from_secs(1_800_000_000),
            environment: Vec::new(),
            clusters: Vec::new(),
            plugin_name: "lictor".to_owned(),
            foreign_functions: true,
            configuration: None,
            shared: Rc::default(),
            roots: BTreeMap::new(),
            streams: BTreeMap::new(),
            calls: Vec::new(),
            next_call: 1,
            call_answer: None,
            context: 0,
            callback: "",
            entries: 0,
            effective: None,
            deferred: Vec::new(),
            stopped: false,
            logs: Vec::new(),
            counters: Vec::new(),
            entropy: 0,
            record: Vec::new(),
            step: "load".into(),
            failures: Vec::new(),
        }
    }

    /// Records a call that begins; its number, and the fault that it is to have.
    pub fn begin_call(&mut self, name: &'static str, subject: String) -> (usize, Option<Fault>) {
        let number = self.record.len();
        let step = Rc::clone(&self.step);
        let call = HostCall {
            number,
            step,
            entry: self.entries,
            callback: self.callback,
            name,
            subject,
            bytes_out: 0,
            bytes_in: 0,
            allocations: 0,
            status: 0,
        };
        let fault = self.failures.iter_mut().find_map(|failure| failure.of(&call));
        self.record.push(call);
        (number, fault)
    }

    /// The context that host calls act on.
    pub fn acting(&self) -> u32 {
        self.effective.unwrap_or(self.context)
    }

    /// The request that host calls act on.
    pub fn stream(&mut self) -> Option<&mut Stream> {
        self.streams.get_mut(&self.acting()).filter(|stream| !stream.is_gone())
    }

    pub fn act_as(&mut self, context: u32) -> u32 {
        let stream = self.streams.get(&context).is_some_and(|stream| !stream.is_gone());
        if !stream && !self.roots.contains_key(&context) {
            return status::BAD_ARGUMENT;
        }
        self.effective = Some(context);
        status::OK
    }

    pub fn set_period(&mut self, period: Duration) {
        // Requests have no timer: a stream's belongs to the newest root.
        let acting = self.acting();
        let newest = self.roots.last_key_value().map(|(root, _)| *root);
        let root = if self.roots.contains_key(&acting) { Some(acting) } else { newest };
        if let Some(known) = root.and_then(|root| self.roots.get_mut(&root)) {
            *known = period;
        }
    }

    pub fn property(&mut self, path: &str) -> Option<Vec<u8>> {
        match path {
            "plugin_name" => Some(self.plugin_name.clone().into_bytes()),
            "plugin_root_id" => Some(Vec::new()),
            path => self.stream()?.properties.get(path).cloned(),
        }
    }

    pub fn send(&mut self, call: HttpCall) -> Result<Token, u32> {
        let complete = [":method", ":path", ":authority"]
            .iter()
            .all(|name| first(&call.headers, name).is_some());
        if !complete || !self.clusters.contains(&call.cluster) {
            return Err(status::BAD_ARGUMENT);
        }
        let token = Token(self.next_call);
        self.next_call += 1;
        self.calls.push(HttpCall { token, context: self.acting(), ..call });
        Ok(token)
    }

    pub fn counter(&mut self, name: String) -> u32 {
        let known = self.counters.iter().position(|(known, _)| *known == name);
        let place = known.unwrap_or_else(|| {
            self.counters.push((name, 0));
            self.counters.len() - 1
        });
        crate::exports::narrow(place)
    }

    /// The lines of a map as the ABI numbers maps; `None` when there is no such map now.
    pub fn map(&mut self, map: u32) -> Option<&mut Headers> {
        match map {
            0 => self.stream()?.request_map(),
            1 => self.stream()?.trailers.as_mut(),
            2 => self.stream()?.response_map(),
            6 => self.call_answer.as_mut().map(|answer| &mut answer.headers),
            _ => None,
        }
    }

    /// The bytes of a buffer as the ABI numbers buffers; `None` when there is no such buffer now.
    pub fn buffer(&mut self, buffer: u32) -> Option<&mut Vec<u8>> {
        match buffer {
            0 => self.stream()?.request_buffer(),
            1 => self.stream()?.response_buffer(),
            4 => self.call_answer.as_mut().map(|answer| &mut answer.body),
            7 => self.configuration.as_mut(),
            _ => None,
        }
    }
}
