//! Starting a part so that it outlives the command that started it.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::process::{Running, hex, marker};
use crate::process_table::MARKER;

/// How a part is to be started.
#[derive(Debug)]
pub struct Launch {
    /// Its name: of the record, of the log.
    pub part: &'static str,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its whole environment beside `PATH` and the locale: nothing of the caller's leaks in.
    pub env: Vec<(String, String)>,
    /// Its working folder.
    pub folder: PathBuf,
    /// Digests of files whose change means that the part must be restarted.
    pub inputs: Vec<String>,
}

impl Launch {
    /// A digest over everything that decides how the part behaves.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update(text.as_bytes());
            hash.update([0]);
        };
        add(&self.program.to_string_lossy());
        self.args.iter().for_each(|arg| add(arg));
        self.env.iter().for_each(|(key, value)| add(&format!("{key}={value}")));
        self.inputs.iter().for_each(|input| add(input));
        hex(&hash.finalize())
    }

    /// Starts the part apart from the caller's terminal and records it.
    ///
    /// # Errors
    /// The program can't be started, or the record can't be written (the program is then stopped).
    pub fn start(self, layout: &Layout) -> Result<Running> {
        let log = layout.log(self.part);
        let fail = |cause| Error::new(format!("{}: cannot start: {cause}", self.part));
        // What the last run said is often why it is started anew.
        let _first_start = fs::rename(&log, log.with_extension("log.1"));
        let out = fs::File::create(&log).map_err(|cause| Error::file("write", &log, &cause))?;
        let err = out.try_clone().map_err(fail)?;
        let marker = marker(layout, self.part);
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .env_clear()
            .envs(
                ["PATH", "LANG", "TMPDIR"]
                    .into_iter()
                    .filter_map(|name| std::env::var_os(name).map(|value| (name, value))),
            )
            .envs(self.env.iter().map(|(key, value)| (key, value)))
            .env(MARKER, &marker)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            // Neither Ctrl-C nor the closing of the terminal reaches a group of its own.
            .process_group(0);
        let pid = command.spawn().map_err(fail)?.id();
        Running::record(layout, self.part, pid, self.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(script: &str) -> Launch {
        Launch {
            part: "sleeper",
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            env: Vec::new(),
            folder: "/".into(),
            inputs: Vec::new(),
        }
    }

    #[test]
    fn the_fingerprint_covers_arguments_environment_and_inputs() {
        let base = launch("true").fingerprint();
        assert_eq!(base, launch("true").fingerprint());
        assert_ne!(base, launch("false").fingerprint());
        let secret = vec![("SECRET".to_owned(), "new".to_owned())];
        assert_ne!(base, Launch { env: secret, ..launch("true") }.fingerprint());
        let inputs = vec!["digest".to_owned()];
        assert_ne!(base, Launch { inputs, ..launch("true") }.fingerprint());
    }
}
