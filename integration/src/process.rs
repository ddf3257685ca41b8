//! Parts that outlive the command that started them: recorded by pid and start time, found again,
//! stopped with everything they started.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};
use crate::layout::{Layout, write_private};
use crate::process_table as table;

const POLL: Duration = Duration::from_millis(50);
/// How long a part may take to end by itself after SIGTERM.
const GRACE: Duration = Duration::from_secs(12);
/// How long the system may take to end what was sent SIGKILL.
const KILL_WAIT: Duration = Duration::from_secs(5);

/// What is remembered of a started part.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    part: String,
    pid: u32,
    /// Boot and start time: tells the process from a later one with the same pid.
    identity: String,
    /// Seconds since 1970.
    since: u64,
    fingerprint: String,
}

/// A part that was started, now or by an earlier command. Dropping it does not stop it.
#[derive(Debug)]
pub struct Running {
    file: PathBuf,
    record: Record,
    marker: String,
    log: PathBuf,
}

impl Running {
    /// Remembers a process that was just started; stops it if that can't be done.
    pub(crate) fn record(
        layout: &Layout,
        part: &str,
        pid: u32,
        fingerprint: String,
    ) -> Result<Self> {
        let record = Record {
            part: part.to_owned(),
            pid,
            identity: table::identity(pid).unwrap_or_default(),
            since: unix_now(),
            fingerprint,
        };
        let content = serde_json::to_vec_pretty(&record).unwrap_or_default();
        let running = Self::with(layout, record);
        match write_private(&running.file, &content) {
            Ok(()) => Ok(running),
            Err(error) => running.stop().and(Err(error)),
        }
    }

    fn with(layout: &Layout, record: Record) -> Self {
        Self {
            file: record_file(layout, &record.part),
            marker: marker(layout, &record.part),
            log: layout.log(&record.part),
            record,
        }
    }

    /// The part of this name, if a record of it exists (it may have died since).
    #[must_use]
    pub fn find(layout: &Layout, part: &str) -> Option<Self> {
        let record = serde_json::from_slice(&fs::read(record_file(layout, part)).ok()?).ok()?;
        Some(Self::with(layout, record))
    }

    /// Its name.
    #[must_use]
    pub fn part(&self) -> &str {
        &self.record.part
    }

    /// The pid of the process that was started; also its process group.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.record.pid
    }

    /// How long ago it was started.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        Duration::from_secs(unix_now().saturating_sub(self.record.since))
    }

    /// The digest of what it was started with ([`crate::launch::Launch::fingerprint`]).
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.record.fingerprint
    }

    /// Its log file.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Whether the very process that was started still runs (a zombie does not).
    #[must_use]
    pub fn is_alive(&self) -> bool {
        table::identity(self.record.pid).is_some_and(|identity| identity == self.record.identity)
    }

    /// Ends it and everything it started: SIGTERM, a bounded wait, SIGKILL. Forgets the record.
    ///
    /// # Errors
    /// Something is left even after SIGKILL.
    pub fn stop(&self) -> Result<()> {
        for (signal, wait) in [(Signal::TERM, GRACE), (Signal::KILL, KILL_WAIT)] {
            let deadline = Instant::now() + wait;
            let mut told = Vec::new();
            loop {
                // Each once, but also those that were born while the others were told.
                let mut members = self.members();
                if members.is_empty() || Instant::now() > deadline {
                    break;
                }
                members.retain(|pid| !told.contains(pid));
                signal_all(&members, signal);
                told.extend(members);
                thread::sleep(POLL);
            }
        }
        let left = self.members();
        if !left.is_empty() {
            return Err(Error::new(format!("{}: processes {left:?} do not end", self.part())));
        }
        match fs::remove_file(&self.file) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::file("remove", &self.file, &cause))
            }
            _ => Ok(()),
        }
    }

    fn members(&self) -> Vec<u32> {
        let leader = self.is_alive().then_some(self.record.pid);
        table::members(self.record.pid, leader.is_some(), &self.marker)
    }
}

/// Ends every process of this stack that no record knows of (a command killed between starting a
/// part and recording it).
///
/// # Errors
/// Something is left even after SIGKILL.
pub fn stop_unrecorded(layout: &Layout, part: &'static str) -> Result<()> {
    let record = Record {
        part: part.to_owned(),
        pid: 0,
        identity: String::new(),
        since: 0,
        fingerprint: String::new(),
    };
    Running::with(layout, record).stop()
}

/// The digest of a file's content; of its absence, if it can't be read.
#[must_use]
pub fn file_digest(path: &Path) -> String {
    fs::read(path).map_or_else(|_| "absent".to_owned(), |bytes| hex(&Sha256::digest(&bytes)))
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn signal_all(pids: &[u32], signal: Signal) {
    for pid in pids.iter().filter_map(|pid| Pid::from_raw(i32::try_from(*pid).ok()?)) {
        // An error means that it has ended in the meantime.
        let _ended = kill_process(pid, signal);
    }
}

fn record_file(layout: &Layout, part: &str) -> PathBuf {
    layout.run().join(format!("{part}.json"))
}

pub(crate) fn marker(layout: &Layout, part: &str) -> String {
    format!("{}#{part}", layout.state.display())
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use super::*;
    use crate::launch::Launch;
    use crate::ports::Ports;

    fn sleeper(layout: &Layout, script: &str) -> Launch {
        Launch {
            part: "sleeper",
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            env: Vec::new(),
            folder: layout.state.clone(),
            inputs: Vec::new(),
        }
    }

    fn layout(name: &str) -> Layout {
        let state = std::env::temp_dir().join(format!("lictor-{name}-{}", std::process::id()));
        Layout::new(Path::new("/"), &state, Ports::default()).unwrap()
    }

    #[test]
    fn is_found_again_and_stopped_with_its_children() {
        let layout = layout("stop");
        let started = sleeper(&layout, "sleep 100 & sleep 100; wait").start(&layout).unwrap();
        let found = Running::find(&layout, "sleeper").unwrap();
        assert!(found.is_alive());
        assert_eq!(found.pid(), started.pid());
        found.stop().unwrap();
        assert!(!started.is_alive());
        assert!(found.members().is_empty());
        assert!(Running::find(&layout, "sleeper").is_none());
        fs::remove_dir_all(&layout.state).unwrap();
    }

    #[test]
    fn children_of_a_killed_part_are_still_found() {
        let layout = layout("orphans");
        let part = sleeper(&layout, "sleep 100 & wait").start(&layout).unwrap();
        while part.members().len() < 2 {
            thread::sleep(POLL);
        }
        signal_all(&[part.pid()], Signal::KILL);
        while part.is_alive() {
            thread::sleep(POLL);
        }
        assert_eq!(part.members().len(), 1);
        part.stop().unwrap();
        assert!(part.members().is_empty());
        fs::remove_dir_all(&layout.state).unwrap();
    }

    #[test]
    fn a_part_of_another_account_is_stopped_with_its_children() {
        if !rustix::process::geteuid().is_root() {
            return; // Nobody else can become somebody else.
        }
        let layout = layout("account");
        let script = "exec setpriv --reuid=65534 --regid=65534 --clear-groups -- \
            sh -c 'sleep 100 & sleep 100 & wait'";
        let part =
            Launch { folder: "/".into(), ..sleeper(&layout, script) }.start(&layout).unwrap();
        while part.members().len() < 3 {
            assert!(part.is_alive(), "it has ended by itself");
            thread::sleep(POLL);
        }
        part.stop().unwrap();
        assert!(part.members().is_empty() && !part.is_alive());
        fs::remove_dir_all(&layout.state).unwrap();
    }

    #[test]
    fn a_reused_pid_is_neither_alive_nor_stopped() {
        let layout = layout("reused");
        let mut other = Command::new("sleep").arg("100").process_group(0).spawn().unwrap();
        let record = Record {
            part: "sleeper".into(),
            pid: other.id(),
            identity: "another boot".into(),
            since: 0,
            fingerprint: String::new(),
        };
        let file = record_file(&layout, "sleeper");
        fs::write(&file, serde_json::to_vec(&record).unwrap()).unwrap();
        let found = Running::find(&layout, "sleeper").unwrap();
        assert!(!found.is_alive());
        found.stop().unwrap();
        assert!(other.try_wait().unwrap().is_none(), "somebody else's process was stopped");
        other.kill().unwrap();
        other.wait().unwrap();
        fs::remove_dir_all(&layout.state).unwrap();
    }
}
