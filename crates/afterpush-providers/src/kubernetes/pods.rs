//! What the pods of a rollout tell before the workload does: an image that cannot be pulled, a container that crashes. Pure.

use afterpush_core::text::one_line;

use super::answer::{ContainerStatus, Object};

/// After so many starts a crash is no accident.
const CERTAIN_CRASHES: u32 = 3;

/// What a container waits for without hope, unless somebody or something else changes.
const FATAL: [&str; 7] = [
    "CrashLoopBackOff",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
];

/// The trouble of a pod.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    pub(super) pod: String,
    pub(super) container: String,
    /// Kubernetes' own word for it.
    pub(super) word: &'static str,
    /// For people.
    pub(super) text: String,
    /// The rollout fails when it stays so.
    pub(super) is_fatal: bool,
    /// The rollout has failed.
    pub(super) is_certain: bool,
    pub(super) has_crashed: bool,
    /// There can be a log.
    pub(super) has_run: bool,
}

/// The worst that any of the pods is in.
pub(super) fn worst(pods: &[&Object]) -> Option<Trouble> {
    let all = pods.iter().filter_map(|pod| {
        let statuses = pod.status.init_container_statuses.iter().chain(&pod.status.container_statuses);
        statuses.filter_map(|status| of_container(pod, status)).max_by_key(rank).or_else(|| unscheduled(pod))
    });
    all.max_by_key(rank)
}

fn rank(trouble: &Trouble) -> (bool, bool, bool, bool) {
    (trouble.is_certain, trouble.is_fatal, trouble.has_crashed, trouble.has_run)
}

fn of_container(pod: &Object, status: &ContainerStatus) -> Option<Trouble> {
    if status.ready {
        return None;
    }
    let ended = status.state.terminated.as_ref().or(status.last_state.terminated.as_ref());
    let has_crashed = ended.is_some_and(|it| it.exit_code != 0);
    let waiting = status.state.waiting.as_ref();
    let word = waiting.and_then(|waiting| FATAL.into_iter().find(|word| *word == waiting.reason));
    // A container that has not started yet, or an init container that has done its work, is no trouble.
    let is_pulling = waiting.is_some_and(|waiting| waiting.reason == "ErrImagePull");
    let runs_unready = status.state.running.is_some();
    if word.is_none() && !has_crashed && !is_pulling && !runs_unready {
        return None;
    }
    let what = match (waiting, ended) {
        (_, Some(ended)) if has_crashed => {
            let times =
                if status.restart_count > 1 { format!(" {} times", status.restart_count) } else { String::new() };
            format!("ended{times} with the exit code {} ({})", ended.exit_code, ended.reason)
        }
        (Some(waiting), _) if !waiting.message.is_empty() => format!("{}: {}", waiting.reason, waiting.message),
        (Some(waiting), _) => waiting.reason.clone(),
        _ => "runs and is not ready".to_owned(),
    };
    Some(Trouble {
        pod: pod.metadata.name.clone(),
        container: status.name.clone(),
        word: word.unwrap_or("waiting"),
        text: one_line(&format!("container {} of pod {}: {what}", status.name, pod.metadata.name), 400),
        is_fatal: word.is_some(),
        is_certain: word == Some("CrashLoopBackOff") && status.restart_count >= CERTAIN_CRASHES,
        has_crashed,
        has_run: has_crashed || status.restart_count > 0 || runs_unready,
    })
}

/// A pod without a place is no failure: the cluster may grow.
fn unscheduled(pod: &Object) -> Option<Trouble> {
    let condition = pod.status.conditions.iter().find(|it| it.kind == "PodScheduled" && it.status == "False")?;
    Some(Trouble {
        pod: pod.metadata.name.clone(),
        container: String::new(),
        word: "waiting",
        text: one_line(&format!("pod {} has no place yet: {}", pod.metadata.name, condition.message), 400),
        is_fatal: false,
        is_certain: false,
        has_crashed: false,
        has_run: false,
    })
}
