//! The built module: where it is, and what it imports.

use core::fmt;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use wasmi::{CompilationMode, Config, Engine};

const BUILT: &str = "wasm32-wasip1/release/lictor.wasm";

/// Why there is no module.
#[derive(Debug)]
pub struct LoadError(String);

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LoadError {}

/// A module that any number of VMs can run.
pub struct Module {
    /// Whether its VMs count instructions.
    pub(crate) counted: bool,
    pub(crate) engine: Engine,
    pub(crate) module: wasmi::Module,
}

impl Module {
    /// The module that `make wasm` builds, or the one that `LICTOR_MODULE` names.
    ///
    /// # Errors
    /// It is not built, or it is no WebAssembly.
    pub fn built() -> Result<Self, LoadError> {
        Self::new(&bytes_of_built()?, false)
    }

    /// The same, whose VMs count instructions, which takes longer.
    ///
    /// # Errors
    /// See [`Module::built`].
    pub fn counted() -> Result<Self, LoadError> {
        Self::new(&bytes_of_built()?, true)
    }

    fn new(bytes: &[u8], counted: bool) -> Result<Self, LoadError> {
        let mut config = Config::default();
        config.consume_fuel(counted);
        if !counted {
            // Most functions are never called by one test. Translating them later would count.
            config.compilation_mode(CompilationMode::LazyTranslation);
        }
        let engine = Engine::new(&config);
        let module = wasmi::Module::new(&engine, bytes);
        let module = module.map_err(|cause| LoadError(format!("not a module: {cause}")))?;
        Ok(Self { counted, engine, module })
    }

    /// What it imports, as `module.name`, sorted.
    #[must_use]
    pub fn imports(&self) -> Vec<String> {
        let name = |import: wasmi::ImportType<'_>| format!("{}.{}", import.module(), import.name());
        let mut names: Vec<_> = self.module.imports().map(name).collect();
        names.sort();
        names
    }
}

fn bytes_of_built() -> Result<Vec<u8>, LoadError> {
    let path = env::var_os("LICTOR_MODULE").map_or_else(built, PathBuf::from);
    fs::read(&path).map_err(|cause| {
        LoadError(format!("{} cannot be read ({cause}); build it: make wasm", path.display()))
    })
}

fn built() -> PathBuf {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| checkout.join("target"), PathBuf::from)
        .join(BUILT)
}
