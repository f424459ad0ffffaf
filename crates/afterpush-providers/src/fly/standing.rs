//! Decides where the machines of a commit stand. Pure.

use afterpush_core::{observation::DeploymentState, text::one_line};

use super::answer::{Exit, Machine};

/// Where the commit's machines stand, and what is told about them.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) state: DeploymentState,
    pub(super) raw: String,
    pub(super) progress: Option<String>,
    pub(super) reason: Option<String>,
}

/// The whole judgement. `ours` are the commit's machines, `others` the app's that run something else; `release` is the commit's.
pub(super) fn of(ours: &[&Machine], others: &[&Machine], release: Option<i64>) -> Standing {
    let told = |state, raw: &str| Standing { state, raw: one_line(raw, 40), progress: None, reason: None };
    let at = |it: Standing, progress: String| Standing { progress: Some(progress), ..it };
    let because = |it: Standing, reason: String| Standing { reason: Some(reason), ..it };
    for machine in ours {
        let id = machine.id.as_str();
        match (machine.state.as_str(), machine.crash()) {
            ("failed" | "launch_failed", exit) => {
                let how = exit.map_or_else(|| "could not be started".to_owned(), in_words);
                return because(told(DeploymentState::Failed, &machine.state), format!("the machine {id} {how}"));
            }
            ("stopped", Some(exit)) => {
                let how = in_words(exit);
                return because(told(DeploymentState::Failed, &machine.state), format!("the machine {id} {how}"));
            }
            _ => {}
        }
    }
    for machine in ours {
        let id = machine.id.as_str();
        let deploying = told(DeploymentState::Deploying, &machine.state);
        match machine.state.as_str() {
            "started" => {
                if let Some(check) = machine.checks.iter().find(|it| it.status != "passing") {
                    let (name, status) = (one_line(&check.name, 40), one_line(&check.status, 20));
                    return at(deploying, format!("the check {name} of the machine {id} is {status}"));
                }
            }
            "stopped" | "suspended" if machine.may_rest() => {}
            "created" | "starting" | "stopping" | "stopped" | "suspending" | "suspended" | "restarting"
            | "updating" | "replacing" => return at(deploying, format!("the machine {id} is {}", machine.state)),
            word => return told(DeploymentState::Unknown, word),
        }
    }
    let raw = ours.iter().find(|it| it.state == "started").or(ours.first()).map_or("", |it| it.state.as_str());
    if let Some(other) = others.iter().find(|it| it.release().is_some()) {
        let whose = if other.release() > release { "a later release" } else { "an earlier release" };
        let (count, all) = (ours.len(), ours.len() + others.len());
        let text = format!("{count} of {all} machines run it, others {whose}");
        return at(told(DeploymentState::Deploying, raw), text);
    }
    told(DeploymentState::Live, raw)
}

/// How a process ended.
pub(super) fn in_words(exit: &Exit) -> String {
    if exit.oom_killed {
        return "ran out of memory".to_owned();
    }
    format!("exited with status {}", exit.exit_code)
}
