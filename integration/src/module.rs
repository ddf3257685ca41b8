//! Builds modules for wasm32-wasip1: the filter, and test modules.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::command::{output_of, run_logged};
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::progress::{Progress, megabytes};

const TARGET: &str = "wasm32-wasip1";
/// The filter.
pub const FILTER: &str = "lictor-filter";

/// Checks that cargo and the wasm target are there.
///
/// # Errors
/// One is missing.
pub fn check_toolchain(layout: &Layout) -> Result<()> {
    let missing = || {
        Error::new("rustc or cargo is not on the PATH")
            .wanted("Rust 1.89 or newer, to build the filter")
            .remedy("install Rust with rustup")
    };
    output_of(Command::new(cargo()).arg("--version")).ok_or_else(missing)?;
    // In the checkout, where a toolchain file may choose another Rust than elsewhere.
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "sysroot"]).current_dir(&layout.checkout);
    let sysroot = output_of(&mut rustc).ok_or_else(missing)?;
    if Path::new(&sysroot).join("lib/rustlib").join(TARGET).is_dir() {
        return Ok(());
    }
    Err(Error::new(format!("Rust has no standard library for {TARGET}"))
        .wanted("that target, to build the filter")
        .remedy(format!("rustup target add {TARGET}")))
}

/// Builds a package's module; returns where it lies.
///
/// # Errors
/// The build failed; the log's last lines say why.
pub fn build(layout: &Layout, package: &str, progress: &Progress) -> Result<PathBuf> {
    let name = package.trim_start_matches("lictor-");
    let step = progress.step(name, "building for wasm32-wasip1");
    let log = layout.log(&format!("build-{name}"));
    let mut command = Command::new(cargo());
    command
        .args(["build", "--release", "--locked", "--target", TARGET, "-p", package])
        // Tells the file's path, wherever the user's target folder is.
        .arg("--message-format=json-render-diagnostics")
        .current_dir(&layout.checkout);
    run_logged(command, &format!("building {package}"), &log, progress, || ())?;
    let output = fs::read_to_string(&log).map_err(|cause| Error::file("read", &log, &cause))?;
    let module = output.lines().rev().find_map(wasm_file).ok_or_else(|| {
        Error::new("cargo built no .wasm file")
            .wanted(format!("a cdylib in package {package}"))
            .log(&log)
    })?;
    let size = fs::metadata(&module).map_or(0, |data| data.len());
    step.done(&format!("built, {}", megabytes(size)));
    Ok(module)
}

fn wasm_file(line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    let files = message.get("filenames")?.as_array()?;
    files.iter().filter_map(Value::as_str).find(|file| file.ends_with(".wasm")).map(PathBuf::from)
}

/// The cargo that runs us, if one does.
fn cargo() -> std::ffi::OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_found_among_cargos_messages() {
        let line = r#"{"reason":"compiler-artifact","filenames":["/t/lictor.d","/t/lictor.wasm"]}"#;
        assert_eq!(wasm_file(line), Some(PathBuf::from("/t/lictor.wasm")));
        assert_eq!(wasm_file("   Compiling lictor-filter"), None);
        assert_eq!(wasm_file(r#"{"reason":"build-finished","success":true}"#), None);
    }
}
