//! Workers of one Envoy process, which share a store.

use std::rc::Rc;

use crate::Site;
use crate::workers::SharedStore;
use serde_json::Value;

use super::{World, compile, configuration, host};

impl World {
    /// A worker that shares this store and has its provider's metadata and keys. It has a provider
    /// of its own, which counts its calls.
    pub fn worker<S: SharedStore + 'static>(store: &Rc<S>) -> Self {
        Self::worker_with(&configuration(), store)
    }

    /// The same with other settings; they may let no provider be of use.
    pub fn worker_with<S: SharedStore + 'static>(settings: &Value, store: &Rc<S>) -> Self {
        let mut world = Self::starting(settings);
        world.restart(settings, store);
        world.work();
        world
    }

    /// A worker that shares this store and has fetched nothing yet.
    pub fn starting_worker<S: SharedStore + 'static>(store: &Rc<S>) -> Self {
        let mut world = Self::starting(&configuration());
        world.restart(&configuration(), store);
        world
    }

    /// A new site takes the old one's place: of what the old one knew it has what the store holds.
    pub fn restart<S: SharedStore + 'static>(&mut self, settings: &Value, store: &Rc<S>) {
        let store: Rc<dyn SharedStore> = Rc::<S>::clone(store);
        self.site = Site::new(compile(settings), host(store));
        self.site.census.settle();
    }
}
