//! Runs a program to its end, its output in a log, ready to be interrupted.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::error::{Error, Result};
use crate::progress::Progress;

/// How often a running program is looked at.
const POLL: Duration = Duration::from_millis(50);
/// How long a program may take to leave when it is asked to.
const GRACE: Duration = Duration::from_secs(3);

/// Runs `command` with all output in `log` and fails with the log's last lines if it fails.
/// `watch` is called while it runs (a progress bar).
///
/// # Errors
/// The program can't be started, fails, or the work was cancelled (it is then killed).
pub fn run_logged(
    mut command: Command,
    what: &str,
    log: &Path,
    progress: &Progress,
    mut watch: impl FnMut(),
) -> Result<()> {
    let program = command.get_program().to_owned();
    let open = || -> std::io::Result<(fs::File, fs::File)> {
        let file = fs::File::create(log)?;
        Ok((file.try_clone()?, file))
    };
    let (out, err) = open().map_err(|cause| Error::file("write", log, &cause))?;
    // A group of its own: Ctrl-C reaches only us, and we end the whole group in order.
    command.stdin(Stdio::null()).stdout(out).stderr(err).process_group(0);
    let mut child = command.spawn().map_err(|cause| {
        Error::new(format!("{what}: cannot start {}: {cause}", program.display()))
    })?;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => {
                return Err(Error::new(format!("{what} failed ({status})")).log(log));
            }
            Ok(None) => {}
            Err(cause) => return Err(Error::new(format!("{what}: {cause}"))),
        }
        if let Err(cancelled) = progress.check() {
            kill(&mut child);
            return Err(cancelled);
        }
        watch();
        thread::sleep(POLL);
    }
}

/// The standard output of a short command; `None` if it can't be run or fails.
#[must_use]
pub fn output_of(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn kill(child: &mut Child) {
    let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else { return };
    // An error means that the group has already ended.
    let _ended = kill_process_group(group, Signal::TERM);
    let deadline = Instant::now() + GRACE;
    while Instant::now() < deadline && matches!(child.try_wait(), Ok(None)) {
        thread::sleep(POLL);
    }
    let _ended = kill_process_group(group, Signal::KILL);
    drop(child.wait());
}
