//! Words for people from a deployment's tree of steps: how far it is, and why it failed. Everything in them is cleaned.

use afterpush_core::text::one_line;

use super::answer::{Deployment, Progress, Step};

/// The longest text that is taken from one field.
const LONGEST_TEXT: usize = 300;

/// More reasons than these are not told; the first are the deepest.
const MOST_REASONS: usize = 3;

/// How far it is, such as "3 of 6 steps: Building service web".
pub(super) fn progress(progress: &Progress) -> Option<String> {
    let Progress { success_steps, total_steps, steps } = progress;
    let count = (*total_steps > 0).then(|| format!("{} of {total_steps} steps", (*success_steps).max(0)));
    let running = steps.iter().find_map(|step| running(step, ""));
    match (count, running) {
        (Some(count), Some(running)) => Some(format!("{count}: {running}")),
        (count, running) => count.or(running),
    }
}

/// The deepest running step that says what it does.
fn running(step: &Step, component: &str) -> Option<String> {
    if step.status != "RUNNING" {
        return None;
    }
    let component = component_of(step, component);
    let deeper = step.steps.iter().find_map(|step| running(step, component));
    deeper.or_else(|| label(step, component))
}

/// What a step does, such as "Building service web".
fn label(step: &Step, component: &str) -> Option<String> {
    if step.message_base.is_empty() {
        return None;
    }
    let text = one_line(&format!("{} {component}", step.message_base), LONGEST_TEXT);
    (!text.is_empty()).then_some(text)
}

fn component_of<'a>(step: &'a Step, inherited: &'a str) -> &'a str {
    if step.component_name.is_empty() { inherited } else { &step.component_name }
}

/// Why a deployment failed, such as "BuildJobExitNonZero: Your build job failed ... (component web)".
///
/// Only steps that failed count: a reason also stands on steps that succeeded. Where no step tells a reason, the deepest
/// failed step is named.
pub(super) fn failure(deployment: &Deployment) -> Option<String> {
    let steps = &deployment.progress.steps;
    let mut reasons = Vec::new();
    for step in steps {
        collect_reasons(step, "", &mut reasons);
    }
    if !reasons.is_empty() {
        reasons.truncate(MOST_REASONS);
        return Some(reasons.join("; "));
    }
    let step = steps.iter().find_map(|step| failed(step, ""))?;
    Some(format!("the step {step:?} failed"))
}

fn collect_reasons(step: &Step, component: &str, reasons: &mut Vec<String>) {
    let component = component_of(step, component);
    for step in &step.steps {
        collect_reasons(step, component, reasons);
    }
    let Some(reason) = step.reason.as_ref().filter(|_| step.status == "ERROR") else {
        return;
    };
    let code = one_line(&reason.code, LONGEST_TEXT);
    let message = one_line(&reason.message, LONGEST_TEXT);
    let mut text = match (code.is_empty(), message.is_empty()) {
        (true, true) => return,
        (true, false) => message,
        (false, true) => code,
        (false, false) => format!("{code}: {message}"),
    };
    let component = one_line(component, LONGEST_TEXT);
    if !component.is_empty() {
        text = format!("{text} (component {component})");
    }
    if !reasons.contains(&text) {
        reasons.push(text);
    }
}

fn failed(step: &Step, component: &str) -> Option<String> {
    if step.status != "ERROR" {
        return None;
    }
    let component = component_of(step, component);
    let deeper = step.steps.iter().find_map(|step| failed(step, component));
    deeper.or_else(|| {
        let name = one_line(&step.name, LONGEST_TEXT);
        label(step, component).or_else(|| (!name.is_empty()).then_some(name))
    })
}

/// Tells whether the build is what failed, as opposed to the roll-out; nothing when the steps do not tell.
pub(super) fn failed_in_build(deployment: &Deployment) -> Option<bool> {
    let failed = |name: &str| deployment.progress.steps.iter().any(|step| step.name == name && has_error(step));
    if failed("build") { Some(true) } else { failed("deploy").then_some(false) }
}

fn has_error(step: &Step) -> bool {
    step.status == "ERROR" || step.steps.iter().any(has_error)
}
