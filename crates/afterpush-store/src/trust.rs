//! Which repositories' privileged configuration the user allows, pinned to its content: any edit takes the trust away.

use std::path::{Path, PathBuf};

use crate::{
    Repository,
    atomic::{self, Access, Durability},
    error::StoreError,
    run_directory::names_in,
    slug,
};

/// A path and little else.
const LONGEST: u64 = 64 << 10;

/// The user's decisions: one file for each, named by the hash of repository and content.
#[derive(Debug, Clone)]
pub struct TrustStore {
    directory: Option<PathBuf>,
    root: PathBuf,
}

impl TrustStore {
    pub(crate) fn new(directory: Option<PathBuf>, root: &Path) -> Self {
        Self { directory, root: root.to_owned() }
    }

    /// Tells whether the user trusts this content of this repository's configuration file.
    ///
    /// # Errors
    /// [`StoreError`] when the decision is there and cannot be read.
    pub fn is_trusted(&self, repository: &Repository, content: &str) -> Result<bool, StoreError> {
        let Some(directory) = &self.directory else {
            return Ok(false);
        };
        let decision = atomic::read(&directory.join(name_of(repository, content)), LONGEST)?;
        Ok(decision.is_some_and(|text| text == text_of(repository)))
    }

    /// Trusts this content of this repository's configuration file.
    ///
    /// # Errors
    /// [`StoreError`] when the decision cannot be written, or this is not the user's own place.
    pub fn allow(&self, repository: &Repository, content: &str) -> Result<(), StoreError> {
        let Some(directory) = &self.directory else {
            return Err(StoreError::not_ours(&self.root, "trust is kept only in the user's own state directory"));
        };
        atomic::ensure_directory(directory)?;
        let path = directory.join(name_of(repository, content));
        atomic::replace(&path, &text_of(repository), Access::User, Durability::Machine)
    }

    /// Takes back every decision about this repository; tells how many there were.
    ///
    /// # Errors
    /// [`StoreError`] when one cannot be read or removed.
    pub fn revoke(&self, repository: &Repository) -> Result<usize, StoreError> {
        let Some(directory) = &self.directory else {
            return Ok(0);
        };
        let mut count = 0;
        for name in names_in(directory)?.into_iter().filter(|name| !name.starts_with('.')) {
            let path = directory.join(name);
            if atomic::read(&path, LONGEST)?.is_some_and(|text| text == text_of(repository)) {
                atomic::remove(&path)?;
                count += 1;
            }
        }
        Ok(count)
    }
}

fn name_of(repository: &Repository, content: &str) -> String {
    let mut bytes = repository.common_dir.as_os_str().as_encoded_bytes().to_vec();
    bytes.push(b'\n');
    bytes.extend_from_slice(content.as_bytes());
    slug::digest(&bytes)
}

fn text_of(repository: &Repository) -> Vec<u8> {
    let mut bytes = repository.common_dir.as_os_str().as_encoded_bytes().to_vec();
    bytes.push(b'\n');
    bytes
}
