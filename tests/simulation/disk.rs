//! The disk of the simulated machine: what it refuses, at which call a process dies, and what a power loss takes back.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use afterpush_store::disk::Change;

use crate::{
    dice::Dice,
    vendor::{Span, Time},
};

/// What a disk in trouble refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// ENOSPC: whatever needs room.
    Full,
    /// EROFS: every change.
    ReadOnly,
    /// EIO: now and then, whatever it is.
    Flaky,
}

/// The kernel writes by itself what nobody has synced for so long.
const WRITEBACK: Time = Time::from_secs(30);

/// A change that a power loss may take back.
struct Unsynced {
    number: u64,
    at: Time,
    before: Option<Vec<u8>>,
    text_is_durable: bool,
}

/// The disk.
#[derive(Default)]
pub(crate) struct Disk {
    pub(crate) weather: Vec<(Span, Weather)>,
    /// After how many more changes each monitor dies.
    pub(crate) fuses: BTreeMap<u64, u64>,
    unsynced: BTreeMap<PathBuf, Unsynced>,
    synced_texts: BTreeSet<PathBuf>,
    changes: u64,
    pub(crate) refused: u64,
}

impl Disk {
    /// Whether the process that makes its next change dies before it.
    pub(crate) fn kills(&mut self, life: u64) -> bool {
        let Some(fuse) = self.fuses.get_mut(&life) else { return false };
        *fuse = fuse.saturating_sub(1);
        *fuse == 0 && self.fuses.remove(&life).is_some()
    }

    /// Why a change is refused now.
    pub(crate) fn refusal(&mut self, change: Change<'_>, now: Time, dice: &mut Dice) -> Option<io::Error> {
        let (_, weather) = self.weather.iter().find(|((from, to), _)| *from <= now && now < *to)?;
        let needs_room = matches!(
            change,
            Change::Create | Change::Write | Change::Append | Change::CreateDirectory | Change::Link(_)
        );
        let error = match weather {
            Weather::Full if needs_room => nix::errno::Errno::ENOSPC,
            Weather::ReadOnly if !matches!(change, Change::Sync | Change::SyncDirectory) => nix::errno::Errno::EROFS,
            Weather::Flaky if dice.chance(0.2) => nix::errno::Errno::EIO,
            _ => return None,
        };
        self.refused += 1;
        Some(error.into())
    }

    /// Takes note of a change that is about to happen.
    pub(crate) fn note(&mut self, change: Change<'_>, path: &Path, now: Time) {
        self.changes += 1;
        self.write_back(now);
        match change {
            Change::Create | Change::Write | Change::CreateDirectory => {
                self.synced_texts.remove(path);
            }
            Change::Sync => {
                self.synced_texts.insert(path.to_owned());
            }
            Change::Append => self.changed(path, false, now),
            Change::Remove if !is_temporary(path) => self.changed(path, true, now),
            Change::Remove => {}
            Change::Rename(_) if path.is_dir() => self.unsynced.retain(|known, _| !known.starts_with(path)),
            Change::RemoveDirectory => self.unsynced.retain(|known, _| !known.starts_with(path)),
            Change::Rename(to) => {
                // What has a name that is not durable yet may have a text that is.
                let had_durable_text = || self.unsynced.get(path).is_none_or(|it| it.text_is_durable);
                let is_durable = if is_temporary(path) { self.synced_texts.remove(path) } else { had_durable_text() };
                self.changed(to, is_durable, now);
                if !is_temporary(path) {
                    self.changed(path, true, now);
                }
            }
            Change::Link(to) => {
                let is_durable = self.synced_texts.contains(path);
                self.changed(to, is_durable, now);
            }
            Change::SyncDirectory => {
                self.unsynced.retain(|known, it| known.parent() != Some(path) || !it.text_is_durable);
            }
        }
    }

    fn write_back(&mut self, now: Time) {
        self.unsynced.retain(|_, it| it.at + WRITEBACK > now);
    }

    fn changed(&mut self, path: &Path, text_is_durable: bool, at: Time) {
        let number = self.changes;
        let known = self.unsynced.entry(path.to_owned());
        let it = known.or_insert_with(|| Unsynced { number, at, before: fs::read(path).ok(), text_is_durable });
        (it.number, it.at) = (number, at);
        it.text_is_durable = text_is_durable;
    }

    /// Whether a power loss could still take back what is at a path.
    pub(crate) fn is_unsynced(&self, path: &Path) -> bool {
        self.unsynced.contains_key(path)
    }

    /// The power fails: of what was not synced, the changes after some moment are gone, and texts may be empty.
    pub(crate) fn lose_power(&mut self, now: Time, dice: &mut Dice) {
        self.write_back(now);
        self.fuses.clear();
        self.synced_texts.clear();
        let mut changes: Vec<_> = std::mem::take(&mut self.unsynced).into_iter().collect();
        changes.sort_by_key(|(_, it)| it.number);
        let kept = dice.index(changes.len() + 1);
        for (at, (path, it)) in changes.into_iter().enumerate() {
            if !path.parent().is_some_and(Path::is_dir) {
                continue;
            }
            if at >= kept {
                match it.before {
                    Some(text) => fs::write(&path, text).unwrap(),
                    None => drop(fs::remove_file(&path)),
                }
            } else if !it.text_is_durable && path.exists() && dice.chance(0.5) {
                let length = if dice.chance(0.5) { 0 } else { 64 };
                fs::write(&path, vec![0; length]).unwrap();
            }
        }
    }
}

fn is_temporary(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "tmp")
}
