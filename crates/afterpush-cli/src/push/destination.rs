//! Where a branch is pushed to, and what has come there meanwhile.

use afterpush_core::porcelain::RefReport;

use super::{
    Stop,
    integrate::Incoming,
    program::{Program, REFLOG_ACTION},
    worktree::BACK,
};
use crate::{
    context::Context,
    error::{CommandError, ErrorKind},
};

/// Where the remote's commits are kept while they are taken in. A ref of this work tree alone, because FETCH_HEAD is
/// everybody's: an editor that fetches meanwhile would have us take in another branch.
const THEIRS: &str = "refs/worktree/afterpush/theirs";

/// Where the branch that is checked out is pushed to.
pub(super) struct Destination {
    /// The remote, by name or address.
    pub(super) remote: String,
    /// What to fetch from: the same, or the address that it is pushed to.
    address: String,
    /// The ref on the remote.
    ref_name: String,
    /// The branch here, as a full ref name.
    pub(super) branch: String,
    /// The commit that the remote had when it was last looked at.
    known: Option<String>,
}

impl Destination {
    /// Finds it for a refused ref; an error when that is not the branch that is checked out.
    pub(super) fn of(
        context: &Context,
        program: &Program<'_>,
        remote: Option<&str>,
        report: &RefReport,
    ) -> Result<Self, CommandError> {
        let refused = |message: String| CommandError::new(ErrorKind::Refused, message);
        let to = report.to.strip_prefix("refs/heads/").unwrap_or(&report.to);
        if context.repository()?.work_tree.is_none() {
            return Err(refused(format!("{to} has moved on the remote, and a bare repository cannot integrate")));
        }
        let Some(branch) = program.line_if_any(&["symbolic-ref", "--quiet", "HEAD"]) else {
            return Err(refused(format!(
                "{to} has moved on the remote, and HEAD is on no branch to integrate it into"
            ))
            .hint("`git switch -c <name>` gives these commits a branch"));
        };
        if report.from != branch && report.from != "HEAD" {
            let from = report.from.strip_prefix("refs/heads/").unwrap_or(&report.from);
            return Err(refused(format!("{to} has moved on the remote, and {from} is not checked out"))
                .hint(format!("`git switch {from}`, then `afterpush push`")));
        }
        let name = branch.strip_prefix("refs/heads/").unwrap_or(&branch);
        let remote = match remote {
            Some(remote) => remote.to_owned(),
            None => remote_of(program, name)?,
        };
        let url = |options: &[&str]| program.line_if_any(&[&["remote", "get-url"], options, &["--", &remote]].concat());
        let address = match (url(&[]), url(&["--push"])) {
            (Some(fetch), Some(push)) if fetch != push => push,
            _ => remote.clone(),
        };
        let ref_name = report.to.clone();
        let known = match afterpush_core::id::RefName::parse(&ref_name) {
            Ok(full) => context.git()?.tracking_ref(&remote, &full),
            Err(_) => None,
        };
        let known = known.and_then(|it| program.line_if_any(&["rev-parse", "--verify", "--quiet", &it]));
        Ok(Self { remote, address, ref_name, branch, known })
    }

    /// The branch's short name.
    pub(super) fn branch_name(&self) -> &str {
        self.branch.strip_prefix("refs/heads/").unwrap_or(&self.branch)
    }
}

/// The remote that `git push` takes for a branch when none is named.
fn remote_of(program: &Program<'_>, branch: &str) -> Result<String, CommandError> {
    let keys =
        [format!("branch.{branch}.pushRemote"), "remote.pushDefault".to_owned(), format!("branch.{branch}.remote")];
    if let Some(remote) = keys.iter().find_map(|key| program.line_if_any(&["config", "--get", key])) {
        return Ok(remote);
    }
    let listed = program.bytes(&["remote"])?;
    let listed = String::from_utf8_lossy(&listed).into_owned();
    let mut names = listed.lines();
    Ok(match (names.next(), names.next()) {
        (Some(only), None) => only.to_owned(),
        _ => "origin".to_owned(),
    })
}

/// Fetches what the remote has. `Ok(None)`: nothing that our branch does not contain. The inner error is why it is not to be
/// taken in.
pub(super) fn fetch(
    program: &Program<'_>,
    place: &Destination,
    head: &str,
) -> Result<Result<Option<Incoming>, CommandError>, Stop> {
    let refspec = format!("+{}:{THEIRS}", place.ref_name);
    let mut command = program.here();
    command.args(["fetch", "--no-tags", "--no-prune", "--quiet", "--", &place.address, &refspec]);
    let (status, _) = program.show(&mut command)?;
    let refused = |message: String| Ok(Err(CommandError::new(ErrorKind::Refused, message)));
    let branch = place.ref_name.strip_prefix("refs/heads/").unwrap_or(&place.ref_name);
    if !status.success() {
        return refused(format!(
            "{branch} could not be fetched from {}",
            afterpush_core::redact::remote_url(&place.remote)
        ));
    }
    let theirs = program.line(&["rev-parse", "--verify", &format!("{THEIRS}^{{commit}}")])?;
    let contains =
        |descendant: &str, ancestor: &str| program.is_true(&["merge-base", "--is-ancestor", ancestor, descendant]);
    if contains(head, &theirs) {
        return Ok(Ok(None));
    }
    let name = format!("{branch} of {}", afterpush_core::redact::remote_url(&place.remote));
    if !program.is_true(&["merge-base", head, &theirs]) {
        return Ok(Err(CommandError::new(ErrorKind::Refused, format!("the branch and {name} have no common history"))
            .hint("in a shallow clone `git fetch --unshallow` brings it")));
    }
    let known = place.known.as_deref();
    if let Some(known) = known.filter(|known| !contains(head, known) && was_ours(program, &place.branch, known)) {
        let known = known.get(..12).unwrap_or(known);
        let message = format!(
            "your branch no longer contains {known}, which it had and the remote has: to take it in would undo what you did"
        );
        let error = CommandError::new(ErrorKind::Refused, message);
        let to = place.branch_name();
        return Ok(Err(if theirs.starts_with(known) {
            error.hint(format!("`afterpush push --force-with-lease {} {to}` replaces it", place.remote))
        } else {
            error.hint(format!(
                "the remote has moved besides: look at `git log {known}..{}`",
                theirs.get(..12).unwrap_or(&theirs)
            ))
        }));
    }
    // What the remote had, we have and it has no more was taken back there.
    let taken_back = known.filter(|known| contains(head, known) && !contains(&theirs, known)).map(str::to_owned);
    Ok(Ok(Some(Incoming { commit: theirs, name, taken_back })))
}

/// Tells whether the branch had this commit at some time, by its reflog; what we took in and took out again does not count.
fn was_ours(program: &Program<'_>, branch: &str, commit: &str) -> bool {
    let Ok(listed) = program.bytes(&["log", "--walk-reflogs", "--format=%H%x09%gs", "--max-count=100", branch, "--"])
    else {
        return false;
    };
    let listed = String::from_utf8_lossy(&listed).into_owned();
    let mut is_undone = false;
    for (id, action) in listed.lines().filter_map(|line| line.split_once('\t')) {
        is_undone = action == BACK || (is_undone && action.starts_with(REFLOG_ACTION));
        if !(is_undone && action != BACK) && program.is_true(&["merge-base", "--is-ancestor", commit, id]) {
            return true;
        }
    }
    false
}

/// Removes what was kept of the fetch.
pub(super) fn forget(program: &Program<'_>) {
    let _ = program.bytes(&["update-ref", "-d", THEIRS]);
}
