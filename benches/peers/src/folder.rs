//! The folder of the data files, which is removed at the end, also after Ctrl-C.

use std::path::Path;
use std::process::exit;

use anyhow::{Context, Result};
use tempfile::TempDir;

/// What a program exits with that was interrupted.
const INTERRUPTED: i32 = 130;

pub struct Folder(TempDir);

impl Folder {
    /// A new one within this one, or within the system's for temporary files.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(parent: Option<&Path>) -> Result<Self> {
        let prefix = "authkv-bench-";
        let made = match parent {
            Some(parent) => TempDir::with_prefix_in(prefix, parent),
            None => TempDir::with_prefix(prefix),
        };
        let folder = made.context("the folder for the data files cannot be made")?;
        let path = folder.path().to_owned();
        ctrlc::set_handler(move || {
            // Whoever still writes may make a file meanwhile.
            while path.exists() {
                let _ = std::fs::remove_dir_all(&path);
            }
            exit(INTERRUPTED);
        })?;
        Ok(Self(folder))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}
