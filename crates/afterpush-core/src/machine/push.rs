//! Has the push landed? Evidence for each ref: the repository's own refs, the exit of `git push`, the remote, the provider.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::event::{Effect, LocalLook, Moment, RemoteLook};
use crate::policy::Policy;

/// How soon the repository's own refs are looked at again: they are files, a look is cheap.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const SLOWEST_LOOK: Duration = Duration::from_secs(2);

/// What proved that the push landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PushProof {
    /// The remote-tracking ref is at the commit, or its reflog says so now, since the push began.
    TrackingRef,
    /// The tracking ref's reflog has an "update by push" to the commit.
    Reflog,
    /// `git push`, not a dry run, exited with 0.
    ExitCode,
    /// `git ls-remote` shows the ref at the commit.
    Remote,
    /// `git ls-remote` shows the ref at a commit that contains ours.
    RemoteContains,
    /// The provider deploys the commit.
    Provider,
    /// The monitor that watched this run before had a proof, and died.
    Earlier,
}

impl fmt::Display for PushProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TrackingRef => "the remote-tracking ref is at this commit",
            Self::Reflog => "the remote-tracking ref's reflog has this push",
            Self::ExitCode => "git push ended with exit code 0",
            Self::Remote => "the remote has the ref at this commit",
            Self::RemoteContains => "the remote has the ref at a commit that contains this one",
            Self::Provider => "the provider deploys this commit",
            Self::Earlier => "the monitor before this one saw that it landed",
        })
    }
}

/// What is known about the push.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Push {
    pub(super) proof: Option<PushProof>,
    began: Duration,
    gone: Option<Gone>,
    look_interval: Duration,
    look_due: Duration,
    remote: RemoteQuestion,
    misses: u32,
    /// Why the remote did not tell, at the newest look.
    pub(super) last_unknown: Option<String>,
    /// It could not be asked at all, at the newest look.
    is_unreachable: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Gone {
    at: Duration,
    exit: Option<i32>,
}

impl Gone {
    /// git itself said that it failed; it may have done so for another ref of the same push.
    fn failed_by_itself(self) -> bool {
        self.exit.is_some_and(|code| code > 0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum RemoteQuestion {
    NotYet,
    Due(Duration),
    InFlight,
}

/// What an event means for the push.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Finding {
    Nothing,
    Landed(PushProof),
    NotCompleted(String),
}

impl Push {
    pub(super) fn new(has_pusher: bool) -> Self {
        let gone = (!has_pusher).then_some(Gone { at: Duration::ZERO, exit: None });
        Self {
            proof: None,
            began: Duration::ZERO,
            gone,
            look_interval: FIRST_LOOK,
            look_due: Duration::ZERO,
            remote: RemoteQuestion::NotYet,
            misses: 0,
            last_unknown: None,
            is_unreachable: false,
        }
    }

    /// A new push of the same commit began: its process is watched instead.
    pub(super) fn begin_again(&mut self, now: Duration, has_pusher: bool) {
        if self.proof.is_none() {
            let (unknown, is_unreachable) = (self.last_unknown.take(), self.is_unreachable);
            *self = Self { began: now, last_unknown: unknown, is_unreachable, ..Self::new(has_pusher) };
            if let Some(gone) = &mut self.gone {
                gone.at = now;
            }
            self.look_due = now;
        }
    }

    pub(super) fn next_due(&self, policy: &Policy) -> Duration {
        let mut due = self.look_due;
        if let RemoteQuestion::Due(at) = self.remote {
            due = due.min(at);
        }
        if let Some(gone) = self.gone {
            due = due.min(gone.at + policy.confirmation_deadline);
        }
        due
    }

    /// A push that takes long may have landed long ago: some servers deploy before they let git go.
    fn takes_long(&self, policy: &Policy, now: Duration) -> bool {
        self.gone.is_none() && now >= self.began + 2 * policy.first_interval
    }

    /// The provider is asked before the push is confirmed only where the repository and the remote do not tell.
    pub(super) fn asks_provider(&self, policy: &Policy, now: Duration) -> bool {
        self.takes_long(policy, now) || (self.gone.is_some() && self.last_unknown.is_some())
    }

    pub(super) fn tick(&mut self, policy: &Policy, moment: Moment, effects: &mut Vec<Effect>) -> Finding {
        let now = moment.now;
        if now >= self.look_due {
            self.look(now, effects);
        }
        if self.remote == RemoteQuestion::NotYet && self.takes_long(policy, now) {
            self.remote = RemoteQuestion::Due(now);
        }
        if let RemoteQuestion::Due(at) = self.remote
            && now >= at
        {
            self.remote = RemoteQuestion::InFlight;
            effects.push(Effect::LookAtRemote);
        }
        match self.gone {
            Some(gone) if now >= gone.at + policy.confirmation_deadline => {
                Finding::NotCompleted(match &self.last_unknown {
                    Some(why) => {
                        format!("nothing proves that the push landed, and the remote does not tell: {why}")
                    }
                    None => "nothing proves that the push landed".to_owned(),
                })
            }
            _ => Finding::Nothing,
        }
    }

    fn look(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        effects.push(Effect::LookLocally);
        self.look_due = now + self.look_interval;
        self.look_interval = self.look_interval.mul_f64(1.5).min(SLOWEST_LOOK);
    }

    pub(super) fn pusher_gone(&mut self, now: Duration, exit: Option<i32>, effects: &mut Vec<Effect>) {
        if self.gone.is_none() {
            self.gone = Some(Gone { at: now, exit });
            self.look(now, effects);
        }
    }

    pub(super) fn looked_locally(&mut self, now: Duration, look: LocalLook) -> Finding {
        match (look, self.gone) {
            (LocalLook::Landed(proof @ (PushProof::Reflog | PushProof::Earlier)), _) => Finding::Landed(proof),
            // A ref that is at the commit may have been there before. It counts when git says that it succeeded, or when the
            // remote cannot be asked and git does not say that it failed.
            (LocalLook::Landed(proof), Some(gone))
                if gone.exit == Some(0) || (self.is_unreachable && !gone.failed_by_itself()) =>
            {
                Finding::Landed(proof)
            }
            // The refs were looked at after the process had ended: what they do not say now, they will not say.
            (LocalLook::NotSeen, Some(Gone { exit: Some(0), .. })) => Finding::Landed(PushProof::ExitCode),
            (_, Some(_)) => {
                if self.remote == RemoteQuestion::NotYet {
                    self.remote = RemoteQuestion::Due(now);
                }
                Finding::Nothing
            }
            (_, None) => Finding::Nothing,
        }
    }

    pub(super) fn looked_at_remote(&mut self, policy: &Policy, moment: Moment, look: RemoteLook) -> Finding {
        let now = moment.now;
        self.remote = RemoteQuestion::Due(now + policy.jittered(policy.first_interval, moment.roll));
        let failed = self.gone.is_some_and(|gone| gone.failed_by_itself());
        match look {
            RemoteLook::Landed => Finding::Landed(PushProof::Remote),
            // A push that was refused because the remote is ahead finds the same.
            RemoteLook::Contains if !failed => Finding::Landed(PushProof::RemoteContains),
            RemoteLook::Unknown(why) => {
                self.last_unknown = Some(why);
                self.is_unreachable = true;
                Finding::Nothing
            }
            RemoteLook::Unclear(why) if !failed => {
                self.last_unknown = Some(why.to_owned());
                self.is_unreachable = false;
                Finding::Nothing
            }
            RemoteLook::Contains | RemoteLook::Elsewhere | RemoteLook::Unclear(_) => {
                self.last_unknown = None;
                self.is_unreachable = false;
                let Some(gone) = self.gone else {
                    return Finding::Nothing;
                };
                self.misses += 1;
                // git says itself that it failed: one look is enough. A killed client, or one whose end we cannot read,
                // may have left a server that is still taking the push in.
                if failed || self.misses > 1 {
                    let how = match gone.exit {
                        Some(code) if code > 0 => format!("git push ended with exit code {code}"),
                        Some(code) if code < 0 => format!("git push was ended by signal {}", -code),
                        _ => "git push has ended".to_owned(),
                    };
                    return Finding::NotCompleted(format!(
                        "{how}, and the remote does not have the commit at this ref"
                    ));
                }
                Finding::Nothing
            }
        }
    }
}
