//! How many calls a provider with a limit refuses when very many monitors begin at once.

use std::time::{Duration, SystemTime};

use afterpush_testkit::{digitalocean::Simulator, sandbox::Sandbox};
use serde_json::json;

use crate::{
    crowd::{Crowd, Ground, Member, lateness},
    timing::aim,
};

const MONITORS: usize = 300;
const PER_SECOND: usize = 20;
/// Apps of one repository.
const APPS: usize = 75;
/// The states of each deployment, in seconds after it was made.
const TIMELINE: [(u64, &str); 3] = [(10, "BUILDING"), (40, "DEPLOYING"), (60, "ACTIVE")];

/// Prints the share of refused calls. A number asks for so many monitors.
pub(crate) fn limits(numbers: &[usize]) {
    let monitors = numbers.first().copied().unwrap_or(MONITORS).max(1);
    println!(
        "{monitors} monitors of {monitors} apps begin at once, real processes over real HTTP with the default intervals; the provider"
    );
    println!("  answers {PER_SECOND} calls in any second and refuses the others; each deployment takes a minute:");
    let mut shares = Vec::new();
    for (how, has_own_token) in [("one token", false), ("each with a token of its own", true)] {
        let (calls, refused, (mean, worst)) = follow(monitors, has_own_token);
        let share = 100.0 * refused as f64 / calls as f64;
        println!(
            "  {how:<30} {calls:>5} calls, {refused:>5} refused: {share:4.1} %   end seen after {mean:4.1} s on average, {worst:4.1} s at worst"
        );
        shares.push(share);
    }
    aim(&format!("less than 15 % of the calls are refused, {:.1} % here", shares[0]), shares[0] < 15.0);
}

/// Follows a deployment of one commit to each app; gives the calls, those that were refused, and how late the end was seen.
fn follow(monitors: usize, has_own_token: bool) -> (usize, usize, (f64, f64)) {
    let simulator = Simulator::start();
    simulator.limit(PER_SECOND);
    let sandbox = Sandbox::new();
    let mut apps = Vec::new();
    let mut groups = Vec::new();
    for (group, first) in (0..monitors).step_by(APPS).enumerate() {
        let mut config = String::new();
        let mut members = Vec::new();
        for number in first..monitors.min(first + APPS) {
            let name = format!("app-{number}");
            let app = simulator.add_app(&name, "acme/web", &name, "https://web.example");
            config += &format!(
                "[[target]]\nname = \"{name}\"\nbranch = \"{name}\"\nprovider = {{ kind = \"digitalocean\", app = \"{app}\" }}\n"
            );
            let token = if has_own_token { &name } else { "one" };
            let variables = json!({"DIGITALOCEAN_ACCESS_TOKEN": token});
            members.push(Member { branch: name, commit: String::new(), variables });
            apps.push(app);
        }
        let ground = Ground::new(&sandbox, &format!("web-{group}"), &config);
        let commit = ground.project.head();
        members.iter_mut().for_each(|it| it.commit.clone_from(&commit));
        let refspecs: Vec<_> = members.iter().map(|it| format!("HEAD:refs/heads/{}", it.branch)).collect();
        ground.push_unseen(&refspecs);
        groups.push((ground, members));
    }
    let url = simulator.url();
    sandbox
        .user_config(&format!("[policy]\nmonitors = {}\n[provider.digitalocean]\napi_url = \"{url}\"\n", monitors + 1));
    let timeline = TIMELINE.map(|(after, phase)| (Duration::from_secs(after), phase));
    let mut crowd = Crowd::default();
    let mut commits = Vec::new();
    for (ground, members) in &groups {
        ground.line_up(members, &mut crowd);
        commits.extend(members.iter().map(|it| it.commit.clone()));
    }
    for (app, commit) in apps.iter().zip(&commits) {
        simulator.timeline(commit, &timeline);
        let _ = simulator.deploy(app, commit);
    }
    let end = SystemTime::now() + timeline[2].0;
    let seen = crowd.follow(Duration::from_secs(600));
    let others: Vec<_> = seen.iter().filter(|(outcome, _)| outcome != "live").collect();
    assert!(others.is_empty(), "{} did not end live, such as {:?}", others.len(), others[0]);
    let requests = simulator.requests();
    let refused = requests.iter().filter(|it| it.refused).count();
    (requests.len(), refused, lateness(&seen, &vec![end; monitors]))
}
