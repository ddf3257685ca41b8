//! The command line of `lictor-stack`.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use lexopt::prelude::*;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::error::{Error, Result};
use crate::layout::{Layout, find_checkout};
use crate::logs;
use crate::progress::Progress;
use crate::stack::{self, Installed, Options};
use crate::stack_file::StackFile;
use crate::tools::PREFECT_VERSIONS;
use crate::{report, status};

const HELP: &str = "\
lictor-stack: the real Envoy, Keycloak and Prefect, with Lictor in Envoy, on this machine

  lictor-stack up [--prefect VERSION] [--module FILE]   start (or find) the stack
  lictor-stack down                                     stop all of it
  lictor-stack status                                   a line per part; fails unless all are ready
  lictor-stack logs [PART...] [--follow]                ends of the logs (keycloak, prefect, envoy,
                                                        access, build, ...)
  lictor-stack fetch [--prefect VERSION]                only download

State lies in .lictor of the checkout, downloads in $XDG_CACHE_HOME/lictor (~/.cache/lictor).
Ports: LICTOR_PORT_HTTPS, _KEYCLOAK, _KEYCLOAK_MANAGEMENT, _PREFECT, _ENVOY_ADMIN.
";

#[derive(Debug, Default)]
struct Arguments {
    command: Option<String>,
    names: Vec<String>,
    prefect: Option<String>,
    module: Option<PathBuf>,
    follow: bool,
    help: bool,
}

/// Runs a command line (without the program's name). Returns the exit code.
///
/// # Errors
/// What was seen, wanted and what can be done; to be shown, exit code 1.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<u8> {
    let arguments = parse(arguments)?;
    let cancelled = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&cancelled))
            .map_err(|cause| Error::new(format!("cannot watch for signals: {cause}")))?;
    }
    let progress = Progress::to_stderr(cancelled);
    let mut out = io::stdout().lock();
    let written = match (arguments.help, arguments.command.as_deref()) {
        (true, _) => out.write_all(HELP.as_bytes()).map(|()| 0),
        (false, Some("up")) => {
            let layout = layout()?;
            let stack = stack::up(&layout, &options(arguments), &progress)?;
            report::up(&mut out, &stack, &layout.checkout).map(|()| 0)
        }
        (false, Some("fetch")) => {
            let options = options(arguments);
            options.check()?;
            Installed::fetch(&layout()?, &options.prefect, &progress)?;
            Ok(0)
        }
        (false, Some("down")) => {
            stack::down(&running_layout()?, &progress)?;
            Ok(0)
        }
        (false, Some("status")) => {
            let parts = status::of(&running_layout()?)?;
            report::status(&mut out, &parts).map(|ready| u8::from(!ready))
        }
        (false, Some("logs")) => {
            let names = if arguments.names.is_empty() {
                logs::LOGS.map(str::to_owned).to_vec()
            } else {
                arguments.names
            };
            logs::print(&mut out, &layout()?, &names, arguments.follow, &progress).map(|()| 0)
        }
        (false, Some(other)) => return Err(usage(&format!("there is no command {other:?}"))),
        (false, None) => return Err(usage("no command was given")),
    };
    match written {
        // Whoever closed the pipe has read enough.
        Err(cause) if cause.kind() == io::ErrorKind::BrokenPipe => Ok(0),
        Err(cause) => Err(Error::new(format!("cannot print: {cause}"))),
        Ok(code) => Ok(code),
    }
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Arguments> {
    let mut parsed = Arguments::default();
    let mut parser = lexopt::Parser::from_args(arguments);
    let bad = |cause: lexopt::Error| usage(&cause.to_string());
    while let Some(argument) = parser.next().map_err(bad)? {
        match argument {
            Short('h') | Long("help") => parsed.help = true,
            Short('f') | Long("follow") => parsed.follow = true,
            Long("prefect") => {
                parsed.prefect =
                    Some(parser.value().and_then(|value| value.string()).map_err(bad)?);
            }
            Long("module") => parsed.module = Some(parser.value().map_err(bad)?.into()),
            Value(word) => {
                let word = word.string().map_err(bad)?;
                if parsed.command.is_none() {
                    parsed.command = Some(word);
                } else {
                    parsed.names.push(word);
                }
            }
            Short(_) | Long(_) => return Err(bad(argument.unexpected())),
        }
    }
    if parsed.command.as_deref() != Some("logs")
        && let Some(name) = parsed.names.first()
    {
        return Err(usage(&format!("{name:?} is one word too many")));
    }
    // Names become file names.
    if let Some(name) = parsed.names.iter().find(|name| name.contains(['/', '\0'])) {
        return Err(usage(&format!("{name:?} is no log")));
    }
    Ok(parsed)
}

fn options(arguments: Arguments) -> Options {
    let newest = PREFECT_VERSIONS.last().copied().unwrap_or_default();
    Options {
        // `make up PREFECT=` hands over an empty word.
        prefect: arguments.prefect.filter(|it| !it.is_empty()).unwrap_or_else(|| newest.to_owned()),
        module: arguments.module,
    }
}

fn layout() -> Result<Layout> {
    let here = env::current_dir()
        .map_err(|cause| Error::new(format!("the current folder can't be read: {cause}")))?;
    Layout::of_checkout(&find_checkout(&here)?)
}

/// The layout of the stack that was started last, whatever ports it was given then.
fn running_layout() -> Result<Layout> {
    let mut layout = layout()?;
    if let Ok(stack) = StackFile::load(&layout.checkout) {
        layout.ports = stack.ports;
    }
    Ok(layout)
}

fn usage(seen: &str) -> Error {
    Error::new(seen.to_owned()).remedy("lictor-stack --help")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Arguments> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn commands_and_options_are_understood() {
        let up = words("up --prefect 3.4.13 --module=/tmp/x.wasm").unwrap();
        assert_eq!(up.command.as_deref(), Some("up"));
        assert_eq!(up.prefect.as_deref(), Some("3.4.13"));
        assert_eq!(up.module, Some(PathBuf::from("/tmp/x.wasm")));
        let logs = words("logs prefect envoy --follow").unwrap();
        assert_eq!((logs.names.len(), logs.follow), (2, true));
        assert_eq!(options(words("up").unwrap()).prefect, "3.8.8");
    }

    #[test]
    fn nonsense_is_refused() {
        for line in ["up now", "up --prefix x", "up --prefect", "logs ../../etc/passwd"] {
            assert!(words(line).is_err(), "{line}");
        }
    }
}
