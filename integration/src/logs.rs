//! `lictor-stack logs`: the ends of the log files, each line under its part's name.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek as _, SeekFrom, Write};
use std::thread;
use std::time::Duration;

use crate::error::last_lines;
use crate::layout::Layout;
use crate::progress::Progress;

/// The logs that are shown when none is named.
pub const LOGS: [&str; 4] = ["keycloak", "prefect", "envoy", "access"];

const TAIL: usize = 30;
const POLL: Duration = Duration::from_millis(250);

/// Prints the end of each log; then, if `follow`, what is added, until the work is cancelled.
///
/// # Errors
/// The writer fails.
pub fn print(
    out: &mut impl Write,
    layout: &Layout,
    names: &[String],
    follow: bool,
    progress: &Progress,
) -> io::Result<()> {
    let mut open: Vec<(&str, Option<BufReader<File>>)> = Vec::new();
    for name in names {
        // Opened before the tail is read: a line in between is shown twice rather than never.
        let mut file = File::open(layout.log(name)).ok();
        if let Some(file) = &mut file {
            file.seek(SeekFrom::End(0))?;
        }
        for line in last_lines(&layout.log(name), TAIL).lines() {
            writeln!(out, "{name:<9}| {line}")?;
        }
        open.push((name, file.map(BufReader::new)));
    }
    while follow && progress.check().is_ok() {
        for (name, reader) in &mut open {
            let Some(reader) = reader else { continue };
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line)? > 0 {
                let text = String::from_utf8_lossy(&line);
                writeln!(out, "{name:<9}| {}", text.trim_end())?;
                line.clear();
            }
        }
        out.flush()?;
        thread::sleep(POLL);
    }
    Ok(())
}
