//! What the system tells about processes: `/proc` on Linux, `ps` elsewhere.

#[cfg(target_os = "linux")]
pub use linux::{identity, members};
#[cfg(not(target_os = "linux"))]
pub use portable::{identity, members};

/// Inherited by everything a part starts, so that its children are found even when it was killed
/// and they moved to a session of their own. The value names the stack and the part.
pub const MARKER: &str = "LICTOR_STACK_PART";

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;

    struct Stat {
        group: u32,
        started: u64,
    }

    /// Boot and start time of a process; `None` if it is gone or a zombie.
    #[must_use]
    pub fn identity(pid: u32) -> Option<String> {
        let stat = stat(pid)?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Some(format!("{}:{}", boot.trim(), stat.started))
    }

    /// The processes of a part: those that carry its marker, and its process group while the
    /// leader is known to be the one that was started.
    #[must_use]
    pub fn members(group: u32, leader_is_ours: bool, marker: &str) -> Vec<u32> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let wanted = format!("{}={marker}", super::MARKER);
        entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid| {
                stat(*pid).is_some_and(|stat| {
                    (leader_is_ours && stat.group == group) || carries(*pid, &wanted)
                })
            })
            .collect()
    }

    fn carries(pid: u32, wanted: &str) -> bool {
        fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| {
            environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
        })
    }

    fn stat(pid: u32) -> Option<Stat> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the name in brackets, which may itself hold spaces and brackets.
        let mut fields = text.get(text.rfind(')')? + 1..)?.split_whitespace();
        let state = fields.next()?;
        let group = fields.nth(1)?.parse().ok()?;
        let started = fields.nth(16)?.parse().ok()?;
        (!matches!(state, "Z" | "X")).then_some(Stat { group, started })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn this_process_is_known_by_group_and_start() {
            let me = std::process::id();
            assert_eq!(identity(me), identity(me));
            let group = stat(me).unwrap().group;
            assert!(members(group, true, "no such marker").contains(&me));
            assert!(members(group, false, "no such marker").is_empty());
            assert_eq!(identity(u32::MAX), None);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod portable {
    use std::process::Command;

    use crate::command::output_of;

    /// Start time of a process; `None` if it is gone or a zombie.
    #[must_use]
    pub fn identity(pid: u32) -> Option<String> {
        let line =
            output_of(Command::new("ps").args(["-o", "stat=,lstart=", "-p", &pid.to_string()]))?;
        let (state, started) = line.trim().split_once(' ')?;
        (!state.starts_with('Z')).then(|| started.trim().to_owned())
    }

    /// The living processes of a group. A pid is not given out again while a group of that number
    /// exists, so a group without its leader is still the part's own; one whose leader is somebody
    /// else is not. (The environment of other processes can't be read here, so the marker is not
    /// used.)
    #[must_use]
    pub fn members(group: u32, leader_is_ours: bool, _marker: &str) -> Vec<u32> {
        if group == 0 || (!leader_is_ours && identity(group).is_some()) {
            return Vec::new();
        }
        let Some(list) = output_of(Command::new("ps").args(["-A", "-o", "pid=,pgid=,stat="]))
        else {
            return Vec::new();
        };
        list.lines()
            .filter_map(|line| {
                let mut fields = line.split_whitespace();
                let pid = fields.next()?.parse().ok()?;
                let own = fields.next()?.parse() == Ok(group) && !fields.next()?.starts_with('Z');
                own.then_some(pid)
            })
            .collect()
    }
}
