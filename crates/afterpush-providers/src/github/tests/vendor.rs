//! Bodies in the shape of GitHub's OpenAPI document.

use serde_json::{Map, Value, json};

use crate::play::COMMIT;

pub(super) const SECRET: &str = "ghp_not_to_be_seen";
pub(super) const BEFORE: &str = "2026-01-01T11:00:00Z";
pub(super) const AFTER: &str = "2026-01-01T12:00:10Z";
pub(super) const LATER: &str = "2026-01-01T12:05:00Z";

const ADDRESS: &str = "https://api.github.com/repos/acme/web";

/// A value with some of its fields replaced.
pub(super) fn with(mut value: Value, changes: Value) -> Value {
    let (Value::Object(fields), Value::Object(changes)) = (&mut value, changes) else { panic!("not objects") };
    fields.extend(changes);
    value
}

pub(super) fn deployment(id: u64, sha: &str, environment: &str, created_at: &str) -> Value {
    json!({
        "url": format!("{ADDRESS}/deployments/{id}"), "id": id, "node_id": "n", "sha": sha, "ref": "main",
        "task": "deploy", "payload": {"password": SECRET}, "original_environment": environment,
        "environment": environment, "description": null, "creator": null, "created_at": created_at,
        "updated_at": created_at, "statuses_url": format!("{ADDRESS}/deployments/{id}/statuses"),
        "repository_url": ADDRESS, "transient_environment": false, "production_environment": environment == "production",
    })
}

pub(super) fn status(state: &str) -> Value {
    json!({
        "url": format!("{ADDRESS}/deployments/1/statuses/1"), "id": 1, "node_id": "n", "state": state, "creator": null,
        "description": "", "environment": "production", "target_url": "https://github.com/acme/web/actions/runs/7",
        "log_url": "https://github.com/acme/web/actions/runs/7/job/70", "environment_url": "https://web.acme.test",
        "created_at": AFTER, "updated_at": AFTER, "deployment_url": ADDRESS, "repository_url": ADDRESS,
    })
}

pub(super) fn runs(runs: &[Value]) -> Value {
    json!({"total_count": runs.len(), "workflow_runs": runs})
}

/// A run of the workflow `deploy.yml`; `word` is its status, or its conclusion once it is completed.
pub(super) fn run(id: u64, sha: &str, word: &str, created_at: &str) -> Value {
    let going = ["queued", "requested", "waiting", "pending", "in_progress", "new_word"].contains(&word);
    let (status, conclusion) = if going { (word, None) } else { ("completed", Some(word)) };
    let mut run = json!({
        "id": id, "node_id": "n", "name": "Deploy", "head_branch": "main", "run_number": 1, "run_attempt": 1,
        "display_title": "title", "event": "push", "status": status, "conclusion": conclusion, "head_sha": sha,
        "path": ".github/workflows/deploy.yml", "workflow_id": 5, "created_at": created_at, "updated_at": created_at,
        "run_started_at": created_at, "html_url": format!("https://github.com/acme/web/actions/runs/{id}"),
        "head_commit": null, "repository": repository(), "head_repository": repository(), "pull_requests": [],
    });
    for name in
        ["url", "jobs_url", "logs_url", "check_suite_url", "cancel_url", "rerun_url", "artifacts_url", "workflow_url"]
    {
        run[name] = json!(format!("{ADDRESS}/actions/runs/{id}"));
    }
    run
}

pub(super) fn job(id: u64, conclusion: &str) -> Value {
    json!({
        "id": id, "node_id": "n", "run_id": 7, "run_url": ADDRESS, "head_sha": COMMIT, "workflow_name": "Deploy",
        "head_branch": "main", "name": "deploy", "url": ADDRESS, "html_url": null, "status": "completed",
        "conclusion": conclusion, "started_at": AFTER, "completed_at": AFTER, "check_run_url": ADDRESS, "labels": [],
        "runner_id": null, "runner_name": null, "runner_group_id": null, "runner_group_name": null,
        "created_at": AFTER,
        "steps": [
            {"name": "Check out", "status": "completed", "conclusion": "success", "number": 1},
            {"name": "Roll out", "status": "completed", "conclusion": conclusion, "number": 2},
            {"name": "Clean up", "status": "completed", "conclusion": "success", "number": 3},
        ],
    })
}

pub(super) fn jobs(jobs: &[Value]) -> Value {
    json!({"total_count": jobs.len(), "jobs": jobs})
}

pub(super) fn checks(checks: &[Value]) -> Value {
    json!({"total_count": checks.len(), "check_runs": checks})
}

pub(super) fn check(id: u64, word: &str) -> Value {
    let going = ["queued", "requested", "waiting", "pending", "in_progress", "new_word"].contains(&word);
    let (status, conclusion) = if going { (word, None) } else { ("completed", Some(word)) };
    json!({
        "id": id, "node_id": "n", "head_sha": COMMIT, "name": "build", "url": ADDRESS,
        "html_url": "https://github.com/acme/web/runs/1", "details_url": null, "status": status,
        "conclusion": conclusion, "started_at": AFTER, "completed_at": null, "external_id": null,
        "check_suite": {"id": 1}, "app": null, "pull_requests": [],
        "output": {"title": "3 errors", "summary": SECRET, "text": null, "annotations_count": 0, "annotations_url": ADDRESS},
    })
}

pub(super) fn statuses(states: &[&str]) -> Value {
    let statuses: Vec<Value> = states
        .iter()
        .enumerate()
        .map(|(at, state)| {
            json!({
                "description": "said", "id": 100 + at, "node_id": "n", "state": state, "context": "ci/other",
                "target_url": "https://ci.test/1", "avatar_url": null, "url": ADDRESS, "created_at": AFTER,
                "updated_at": AFTER,
            })
        })
        .collect();
    json!({
        "state": "pending", "sha": COMMIT, "total_count": states.len(), "statuses": statuses,
        "repository": repository(), "commit_url": ADDRESS, "url": ADDRESS,
    })
}

/// The repository, with all that the document asks for.
pub(super) fn repository() -> Value {
    let mut fields = Map::new();
    for name in [
        "archive",
        "assignees",
        "blobs",
        "branches",
        "collaborators",
        "comments",
        "commits",
        "compare",
        "contents",
        "contributors",
        "deployments",
        "downloads",
        "events",
        "forks",
        "git_commits",
        "git_refs",
        "git_tags",
        "hooks",
        "html",
        "issue_comment",
        "issue_events",
        "issues",
        "keys",
        "labels",
        "languages",
        "merges",
        "milestones",
        "notifications",
        "pulls",
        "releases",
        "stargazers",
        "statuses",
        "subscribers",
        "subscription",
        "tags",
        "teams",
        "trees",
        "clone",
        "git",
        "ssh",
        "svn",
    ] {
        fields.insert(format!("{name}_url"), json!(ADDRESS));
    }
    for name in ["has_issues", "has_projects", "has_wiki", "has_pages", "has_discussions", "archived", "disabled"] {
        fields.insert(name.to_owned(), json!(false));
    }
    for name in [
        "forks",
        "forks_count",
        "open_issues",
        "open_issues_count",
        "size",
        "stargazers_count",
        "watchers",
        "watchers_count",
        "network_count",
        "subscribers_count",
    ] {
        fields.insert(name.to_owned(), json!(0));
    }
    let rest = json!({
        "id": 1, "node_id": "n", "name": "web", "full_name": "acme/web", "description": SECRET, "fork": false,
        "private": true, "owner": owner(), "url": ADDRESS, "default_branch": "main", "homepage": null,
        "language": null, "mirror_url": null, "license": null, "pushed_at": AFTER, "created_at": AFTER,
        "updated_at": AFTER,
    });
    with(Value::Object(fields), rest)
}

fn owner() -> Value {
    let mut owner =
        json!({"login": "acme", "id": 1, "node_id": "n", "gravatar_id": null, "site_admin": false, "type": "User"});
    for name in [
        "url",
        "avatar_url",
        "events_url",
        "followers_url",
        "following_url",
        "gists_url",
        "html_url",
        "organizations_url",
        "received_events_url",
        "repos_url",
        "starred_url",
        "subscriptions_url",
    ] {
        owner[name] = json!(ADDRESS);
    }
    owner
}
