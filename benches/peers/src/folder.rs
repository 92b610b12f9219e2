//! The folder of the data files. It is removed at the end, even after Ctrl-C.

use std::path::Path;
use std::process::exit;

use anyhow::{Context, Result};
use tempfile::TempDir;

/// The exit code of an interrupted program.
const INTERRUPTED: i32 = 130;

pub struct Folder(TempDir);

impl Folder {
    /// Creates a new folder in this one, or in the system's for temporary files.
    ///
    /// # Errors
    /// When the folder cannot be created.
    pub fn new(parent: Option<&Path>) -> Result<Self> {
        let prefix = "authkv-bench-";
        let made = match parent {
            Some(parent) => TempDir::with_prefix_in(prefix, parent),
            None => TempDir::with_prefix(prefix),
        };
        let folder = made.context("the folder for the data files cannot be made")?;
        let path = folder.path().to_owned();
        ctrlc::set_handler(move || {
            // A process that still writes may create a file meanwhile.
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
