//! Waiting until a started part does its work.

use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::process::Running;
use crate::progress::Progress;

const POLL: Duration = Duration::from_millis(150);

/// Polls `probe` until it says yes. Gives up when the part ends, the time is over, or the work was
/// cancelled; the error quotes the part's log.
///
/// # Errors
/// The part did not become ready; what `probe` waited for last is quoted.
pub fn wait(
    part: &Running,
    limit: Duration,
    progress: &Progress,
    mut probe: impl FnMut() -> std::result::Result<(), String>,
) -> Result<()> {
    let deadline = Instant::now() + limit;
    loop {
        progress.check()?;
        let answer = probe();
        // After the probe: what answered it must be this part, not a stranger on its port.
        if !part.is_alive() {
            return Err(
                Error::new(format!("{} ended before it was ready", part.part())).log(part.log())
            );
        }
        let Err(wanted) = answer else { return Ok(()) };
        if Instant::now() >= deadline {
            let seconds = limit.as_secs();
            return Err(Error::new(format!("{} is not ready after {seconds} s", part.part()))
                .wanted(wanted)
                .log(part.log()));
        }
        thread::sleep(POLL);
    }
}

/// What a probe says that waits for a status.
///
/// # Errors
/// Another status, or no answer.
pub fn expect_status(
    url: &str,
    wanted: u16,
    answer: &std::io::Result<crate::http::Answer>,
) -> std::result::Result<(), String> {
    match answer {
        Ok(answer) if answer.status == wanted => Ok(()),
        Ok(answer) => Err(format!("{url} to answer {wanted}; it answers {}", answer.status)),
        Err(cause) => Err(format!("{url} to answer {wanted}; it fails: {cause}")),
    }
}
