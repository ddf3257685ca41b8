//! The download cache, shared by all checkouts of a user: `$XDG_CACHE_HOME/lictor`, else
//! `~/.cache/lictor`. An entry is complete or absent, and its name changes with its contents.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};
use crate::layout::make_dir;
use crate::process::hex;
use crate::progress::Progress;

/// Hex digits of an entry's key: 48 bits, enough among a handful of entries.
const KEY_DIGITS: usize = 12;

/// The cache folder.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The cache of this user.
    ///
    /// # Errors
    /// Neither `XDG_CACHE_HOME` nor `HOME` is set, or the folder can't be made.
    pub fn of_user() -> Result<Self> {
        // The XDG specification: a relative path there is to be ignored.
        let base = env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")))
            .ok_or_else(|| {
                Error::new("neither XDG_CACHE_HOME nor HOME is set")
                    .wanted("a place for about 1.2 GB of downloads")
                    .remedy("set XDG_CACHE_HOME to a folder")
            })?;
        Self::at(&base.join("lictor"))
    }

    /// A cache in a given folder.
    ///
    /// # Errors
    /// The folder can't be made.
    pub fn at(folder: &Path) -> Result<Self> {
        make_dir(folder)?;
        Ok(Self { folder: folder.to_path_buf() })
    }

    /// A folder of the cache that a package client manages by itself.
    #[must_use]
    pub fn folder(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The finished entry `name` with contents keyed by `key`, made by `make` if it is not there.
    ///
    /// `make` fills a temporary folder, which becomes the entry by rename: whatever breaks in
    /// between, no half entry is ever found. A lock keeps two commands from making it twice.
    ///
    /// # Errors
    /// What `make` fails with, or the files can't be written.
    pub fn entry(
        &self,
        name: &str,
        key: &[&[u8]],
        progress: &Progress,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let entry = self.folder.join(format!("{name}-{}", short_key(key)));
        if entry.is_dir() {
            return Ok(entry);
        }
        let _lock = lock(&self.folder.join(format!("{name}.lock")), progress)?;
        if entry.is_dir() {
            return Ok(entry);
        }
        let temporary = self.folder.join(format!("{name}.part"));
        let _ignored = fs::remove_dir_all(&temporary);
        make_dir(&temporary)?;
        if let Err(error) = make(&temporary) {
            let _ignored = fs::remove_dir_all(&temporary);
            return Err(error);
        }
        fs::rename(&temporary, &entry).map_err(|cause| Error::file("make", &entry, &cause))?;
        Ok(entry)
    }
}

/// Waits for an exclusive lock, which ends when the file is dropped (or its process dies).
///
/// # Errors
/// The lock can't be taken, or the work was cancelled.
pub fn lock(path: &Path, progress: &Progress) -> Result<fs::File> {
    let file = fs::File::create(path).map_err(|cause| Error::file("write", path, &cause))?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::WouldBlock) => {
                if !told {
                    progress.say(&format!("waiting for another run ({})", path.display()));
                    told = true;
                }
                progress.check()?;
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
            Err(fs::TryLockError::Error(cause)) => return Err(Error::file("lock", path, &cause)),
        }
    }
}

/// A short digest of everything that decides an entry's contents.
#[must_use]
pub fn short_key(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // Length first, so that moving a byte from one part to the next changes the key.
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let mut key = hex(&hash.finalize());
    key.truncate(KEY_DIGITS);
    key
}

/// Bytes of the files below a folder (links not followed).
#[must_use]
pub fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let data = entry.metadata().ok()?;
            Some(if data.is_dir() { size_of(&entry.path()) } else { data.len() })
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_lock_file_is_another_entry() {
        assert_eq!(short_key(&[b"a==1"]), short_key(&[b"a==1"]));
        assert_ne!(short_key(&[b"a==1"]), short_key(&[b"a==2"]));
        assert_ne!(short_key(&[b"ab", b"c"]), short_key(&[b"a", b"bc"]));
        assert_eq!(short_key(&[b"a==1"]).len(), KEY_DIGITS);
    }

    #[test]
    fn a_failed_entry_leaves_nothing_and_is_made_again() {
        let folder = env::temp_dir().join(format!("lictor-cache-{}", std::process::id()));
        let cache = Cache::at(&folder).unwrap();
        let progress = Progress::silent();
        let failed = cache.entry("tool", &[b"1"], &progress, |temporary| {
            fs::write(temporary.join("half"), "x").unwrap();
            Err(Error::new("the connection broke"))
        });
        assert!(failed.is_err());
        let made = cache
            .entry("tool", &[b"1"], &progress, |temporary| {
                assert!(!temporary.join("half").exists());
                fs::write(temporary.join("whole"), "x").unwrap();
                Ok(())
            })
            .unwrap();
        assert!(made.join("whole").is_file());
        let again = cache.entry("tool", &[b"1"], &progress, |_| Err(Error::new("made twice")));
        assert_eq!(again.unwrap(), made);
        fs::remove_dir_all(&folder).unwrap();
    }
}
