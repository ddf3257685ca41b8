//! Keycloak: the distribution's archive from Maven by the pinned `maven-artifact` client, checked
//! against its SHA-256, unpacked and built once for the options we start it with.

use std::env;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

use crate::cache::Cache;
use crate::command::run_logged;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::process::hex;
use crate::progress::{Progress, megabytes};
use crate::tools::Tools;

/// A release of Keycloak's.
#[derive(Debug)]
pub struct Release {
    /// Its version.
    pub version: &'static str,
    bytes: u64,
    sha256: &'static str,
    /// What `kc.sh build` fixes. Features that nobody here uses are off: they cost start-up time.
    build: &'static [&'static str],
}

/// The Keycloak that is started.
pub const KEYCLOAK: Release = Release {
    version: "26.7.3",
    bytes: 176_710_367,
    sha256: "27a6535553c3cdcd083872ba40629efafb3475e3b758e0c6f691395561dd0f1f",
    build: &[
        "--db=dev-file",
        "--health-enabled=true",
        // Only for a listener with TLS, which one end-to-end test adds.
        "--https-client-auth=request",
        "--features-disabled=kerberos,ciba,organization,account,impersonation,par,web-authn,passkeys",
    ],
};

/// An older one that many still run; only the end-to-end tests start it.
pub const KEYCLOAK_24: Release = Release {
    version: "24.0.5",
    bytes: 176_547_234,
    sha256: "5ee1aefa6c611c57e1ee94406e0e51b91b8242b93072cafd19b88f72a4404702",
    // Without a cache of its own, cluster ports are opened on every interface.
    build: &["--db=dev-file", "--health-enabled=true", "--cache=local"],
};

const ARCHIVE: &str = "keycloak-quarkus-dist.zip";

const FETCH: &str = "import sys
from maven_artifact import Artifact, Downloader
ok = Downloader().download(Artifact.parse(sys.argv[1]), sys.argv[2])
sys.exit(0 if ok else 1)";

/// A built Keycloak in the cache.
///
/// # Errors
/// The download broke or has another hash; the archive can't be unpacked; the build failed.
pub fn keycloak(
    layout: &Layout,
    cache: &Cache,
    tools: &Tools,
    release: &Release,
    progress: &Progress,
) -> Result<PathBuf> {
    let name = format!("keycloak-{}", release.version);
    let shown = format!("keycloak {}", release.version);
    let java = tools.java_home.to_string_lossy().into_owned();
    let options = release.build.join(" ");
    let key = [release.sha256.as_bytes(), options.as_bytes(), java.as_bytes()];
    cache.entry(&name, &key, progress, |folder| {
        let archive = fetch(layout, tools, folder, release, &shown, progress)?;
        let step = progress.step(&shown, "unpacking");
        let log = layout.logs().join("install-keycloak.log");
        let mut unzip = Command::new(&tools.python);
        unzip.args(["-m", "zipfile", "-e"]).arg(&archive).arg(folder);
        run_logged(unzip, "unpacking Keycloak", &log, progress, || ())?;
        flatten(folder, &folder.join(&name))?;
        remove(&archive)?;
        make_executable(&folder.join("bin"))?;
        step.doing("building once");
        let mut build = Command::new(folder.join("bin/kc.sh"));
        // Nothing of the user's: Keycloak would bake KC_* variables into the build.
        build
            .arg("build")
            .args(release.build)
            .env_clear()
            .envs(env::var_os("PATH").map(|path| ("PATH", path)))
            .env("JAVA_HOME", &tools.java_home);
        run_logged(build, "kc.sh build", &log, progress, || ())?;
        step.done("unpacked and built");
        Ok(())
    })
}

fn fetch(
    layout: &Layout,
    tools: &Tools,
    folder: &Path,
    release: &Release,
    shown: &str,
    progress: &Progress,
) -> Result<PathBuf> {
    let coordinates = format!("org.keycloak:keycloak-quarkus-dist:zip:{}", release.version);
    let step = progress.step(shown, "downloading");
    let log = layout.logs().join("download-keycloak.log");
    let archive = folder.join(ARCHIVE);
    let mut download = Command::new(&tools.python);
    download.args(["-c", FETCH, &coordinates]).arg(folder);
    run_logged(download, "downloading Keycloak", &log, progress, || {
        step.bytes(archive.metadata().map_or(0, |data| data.len()), release.bytes);
    })
    .map_err(|error| error.remedy("check the network (Maven Central) and run it again"))?;
    verify(&archive, release.sha256)?;
    step.done(&format!("downloaded {}", megabytes(release.bytes)));
    Ok(archive)
}

/// Compares a file's SHA-256 with the pinned one.
fn verify(path: &Path, wanted: &str) -> Result<()> {
    let digest = || -> std::io::Result<String> {
        let mut file = fs::File::open(path)?;
        let mut hash = Sha256::new();
        let mut block = vec![0; 1 << 20];
        loop {
            let read = file.read(&mut block)?;
            let Some(bytes) = block.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
            hash.update(bytes);
        }
        Ok(hex(&hash.finalize()))
    };
    let seen = digest().map_err(|cause| Error::file("read", path, &cause))?;
    if seen == wanted {
        return Ok(());
    }
    Err(Error::new(format!("the downloaded Keycloak has SHA-256 {seen}"))
        .wanted(wanted)
        .remedy("run it again; if it stays, something between you and Maven Central changes files"))
}

/// The archive holds one folder; its contents are wanted one level up.
fn flatten(folder: &Path, inner: &Path) -> Result<()> {
    let rename = || -> std::io::Result<()> {
        for entry in fs::read_dir(inner)? {
            let entry = entry?;
            fs::rename(entry.path(), folder.join(entry.file_name()))?;
        }
        fs::remove_dir(inner)
    };
    rename().map_err(|cause| Error::file("move", inner, &cause))
}

/// Python's `zipfile` drops the mode.
fn make_executable(bin: &Path) -> Result<()> {
    let change = || -> std::io::Result<()> {
        for entry in fs::read_dir(bin)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "sh") {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
            }
        }
        Ok(())
    };
    change().map_err(|cause| Error::file("make executable", bin, &cause))
}

fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path).map_err(|cause| Error::file("remove", path, &cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_checksum_is_refused_with_both_values() {
        let path = std::env::temp_dir().join(format!("lictor-sum-{}", std::process::id()));
        fs::write(&path, "abc").unwrap();
        // FIPS 180-4, the example "abc".
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert!(verify(&path, abc).is_ok());
        let error = verify(&path, KEYCLOAK.sha256).unwrap_err().to_string();
        assert!(error.contains(abc) && error.contains(KEYCLOAK.sha256));
        fs::remove_file(&path).unwrap();
    }
}
