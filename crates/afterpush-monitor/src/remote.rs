//! Asks the remote by `git ls-remote`, with a time limit of its own because git's network limits are long, and reads from the answer
//! what it says about a push.

use std::{process::Stdio, time::Duration};

use afterpush_core::{id::CommitId, machine::RemoteLook, run::Relation, text::clean_line};
use afterpush_git::Git;
use tokio::{process::Command, time::timeout};

/// A remote that is slower than this is asked again later.
const LS_REMOTE: Duration = Duration::from_secs(20);

/// Runs the command to its end and gives what it says, or why it says nothing.
pub(crate) async fn ask(command: std::process::Command) -> Result<Vec<u8>, String> {
    let mut command = Command::from(command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let limit = || format!("git ls-remote did not answer within {} s", LS_REMOTE.as_secs());
    let output = timeout(LS_REMOTE, command.output()).await.map_err(|_| limit())?;
    let output = output.map_err(|error| format!("could not run git ls-remote: {error}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    // git's own words for why; it redacts passwords in URLs itself, and the URL that we gave it holds none.
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find(|line| line.contains("fatal:")).or_else(|| said.lines().last()).unwrap_or("");
    Err(clean_line(&format!("git ls-remote failed: {}", line.trim()), 200))
}

/// What it says about a push that the remote has the ref at `there` now. `previous` is where it was before the push.
pub(crate) fn judge_head(
    git: Option<&Git>,
    pushed: &CommitId,
    previous: Option<&CommitId>,
    there: &CommitId,
) -> RemoteLook {
    let relation_of = |id: &CommitId| git.map_or(Relation::Other, |git| git.relation(id.as_str(), pushed));
    if there == pushed {
        return RemoteLook::Landed;
    }
    // Where it was: nothing has come since.
    if previous == Some(there) {
        return RemoteLook::Elsewhere;
    }
    match relation_of(there) {
        Relation::Same => RemoteLook::Landed,
        // The push moved the ref back: what came since contains the commit whether the push landed or not.
        Relation::Contains if previous.is_some_and(|id| relation_of(id) == Relation::Contains) => {
            RemoteLook::Unclear("it has moved on to a commit that contains this one, as the one before the push did")
        }
        Relation::Contains => RemoteLook::Contains,
        Relation::Other if git.is_some_and(|git| git.peel(there).is_some()) => RemoteLook::Elsewhere,
        // Somebody may have pushed on top of ours at once.
        Relation::Other => RemoteLook::Unclear("it has the ref at a commit that is not in this repository"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use afterpush_testkit::sandbox::Sandbox;

    use super::*;

    #[test]
    fn where_the_ref_is_now_says_about_a_push_no_more_than_it_can() {
        let sandbox = Sandbox::new();
        let project = sandbox.project("");
        let commit = |name: &str| CommitId::parse(&project.commit(name)).unwrap();
        let (first, second, third) = (commit("first"), commit("second"), commit("third"));
        project.git(&["checkout", "--quiet", "-b", "beside", first.as_str()]);
        let beside = commit("beside");
        let stranger = CommitId::parse(&"a".repeat(40)).unwrap();
        let git = Git::open(&project.work.join(".git")).unwrap();
        let say = |previous: Option<&CommitId>, pushed: &CommitId, there: &CommitId| {
            judge_head(Some(&git), pushed, previous, there)
        };
        assert_eq!(say(Some(&first), &second, &second), RemoteLook::Landed);
        assert_eq!(say(Some(&first), &second, &third), RemoteLook::Contains);
        assert_eq!(say(None, &second, &third), RemoteLook::Contains);
        // Where it was before, also when that contains the commit: the push moves it back.
        assert_eq!(say(Some(&first), &second, &first), RemoteLook::Elsewhere);
        assert_eq!(say(Some(&second), &first, &second), RemoteLook::Elsewhere);
        assert_eq!(say(Some(&first), &second, &beside), RemoteLook::Elsewhere);
        // Moved back by the push, and on by another one? Or refused, and moved on?
        assert!(matches!(say(Some(&second), &first, &third), RemoteLook::Unclear(why) if why.contains("moved on")));
        assert!(
            matches!(say(Some(&first), &second, &stranger), RemoteLook::Unclear(why) if why.contains("not in this"))
        );
    }
}
