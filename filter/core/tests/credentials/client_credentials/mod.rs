//! Client credentials in Basic, which Lictor exchanges at the provider for an access token.

mod budget;
mod exchange;
mod recheck;
mod shared;

use std::rc::Rc;

use crate::testing::World;
use crate::testing::store::MemoryStore;
use serde_json::Value;

/// Two workers that share a store.
fn workers(settings: &Value) -> (World, World) {
    let store = Rc::new(MemoryStore::default());
    (World::worker_with(settings, &store), World::worker_with(settings, &store))
}
