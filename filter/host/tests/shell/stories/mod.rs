//! Short stories: from a worker to verdicts. Each can be told of somebody who may and of a
//! stranger, and with any of its host calls failing.

pub mod answers;
pub mod bodies;
pub mod browsers;
pub mod endpoints;
pub mod machines;
pub mod sockets;
pub mod workers;

use crate::world::{Plan, World};

/// Of whom a story is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Somebody with the credential that it takes.
    Known,
    /// Somebody without, or with a wrong one.
    Stranger,
}

/// One story.
#[derive(Clone, Copy)]
pub struct Story {
    pub name: &'static str,
    /// Tells it. A story ends early when an answer that it goes on from does not come.
    tell: fn(&mut World, Who) -> Option<()>,
    /// Where it begins.
    begin: fn(Plan) -> World,
    /// What becomes of each request of somebody who may; empty for a story without one.
    pub known: &'static [&'static str],
    /// What becomes of each request of a stranger.
    pub stranger: &'static [&'static str],
}

impl Story {
    const fn new(name: &'static str, tell: fn(&mut World, Who) -> Option<()>) -> Self {
        Self { name, tell, begin: World::ready, known: &[], stranger: &[] }
    }

    const fn known(self, known: &'static [&'static str]) -> Self {
        Self { known, ..self }
    }

    const fn stranger(self, stranger: &'static [&'static str]) -> Self {
        Self { stranger, ..self }
    }

    const fn unconfigured(self) -> Self {
        Self { begin: World::loaded, ..self }
    }

    /// What becomes of each request if nothing fails.
    pub const fn expected(&self, who: Who) -> &'static [&'static str] {
        match who {
            Who::Known => self.known,
            Who::Stranger => self.stranger,
        }
    }

    /// Tells the story.
    pub fn told(&self, who: Who, plan: Plan) -> World {
        let mut world = (self.begin)(plan);
        let _ = (self.tell)(&mut world, who);
        world
    }
}
