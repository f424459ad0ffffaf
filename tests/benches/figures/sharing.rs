//! What many monitors of one app cost its provider, with and without sharing their answers.

use std::{
    thread,
    time::{Duration, SystemTime},
};

use afterpush_testkit::{previews::Previews, sandbox::Sandbox};
use serde_json::json;

use crate::{
    crowd::{Crowd, Ground, Member, lateness},
    timing::aim,
};

const CROWDS: [usize; 3] = [1, 10, 50];
/// The longest interval of the default policy, and its jitter.
const INTERVAL: f64 = 15.0 * 1.2;

/// What came of one crowd.
struct Figure {
    monitors: usize,
    shares: bool,
    calls: usize,
    mean: f64,
    worst: f64,
}

/// Prints the calls of a deployment of ten minutes by the number of monitors. A number asks for all times to be divided by it: by
/// 5 unless told otherwise, by 1 for the ten minutes themselves.
///
/// Who does not share has a token of its own: answers are shared only among those who have the same.
pub(crate) fn sharing(numbers: &[usize]) {
    let scale = u32::try_from(numbers.first().copied().unwrap_or(5).max(1)).unwrap();
    println!(
        "monitors of one app, real processes over real HTTP, each of a commit and a deployment of its own, which all begin"
    );
    println!(
        "  together: one is live after ten minutes, each of the others fails at a time of its own in the minute before;"
    );
    println!("  every interval and time divided by {scale}, and the seconds told multiplied by it:");
    let figures: Vec<Figure> = thread::scope(|scope| {
        let crowds = CROWDS.iter().flat_map(|monitors| [(*monitors, true), (*monitors, false)]);
        let threads: Vec<_> =
            crowds.map(|(monitors, shares)| scope.spawn(move || follow(monitors, shares, scale))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let one = figures.iter().find(|it| it.shares && it.monitors == 1).unwrap().calls as f64;
    for Figure { monitors, shares, calls, mean, worst } in &figures {
        let how = if *shares { "sharing" } else { "each with a token of its own" };
        println!(
            "  {monitors:>2}, {how:<30} {calls:>5} calls   x {:>5.2} of one   end seen after {mean:4.1} s on average, {worst:4.1} s at worst",
            *calls as f64 / one
        );
    }
    let most = figures.iter().find(|it| it.shares && it.monitors == 50).unwrap();
    let ratio = most.calls as f64 / one;
    aim(&format!("50 monitors cost at most 1.2 times the calls of one, {ratio:.2} here"), ratio <= 1.2);
    let text =
        format!("each sees its own end within one interval, {INTERVAL} s with its jitter; {:.1} here", most.worst);
    aim(&text, most.worst <= INTERVAL);
}

/// Follows as many deployments of one app as there are monitors.
fn follow(monitors: usize, shares: bool, scale: u32) -> Figure {
    let host = Previews::start();
    let sandbox = Sandbox::new();
    let ground = Ground::new(&sandbox, "web", "");
    let members: Vec<Member> = (0..monitors)
        .map(|number| Member {
            branch: format!("preview-{number}"),
            commit: ground.project.commit(&number.to_string()),
            variables: json!({"TOKEN": if shares { "one".to_owned() } else { number.to_string() }}),
        })
        .collect();
    let refspecs: Vec<_> = members.iter().map(|it| format!("{}:refs/heads/{}", it.commit, it.branch)).collect();
    ground.push_unseen(&refspecs);
    let millis = |seconds: u32| format!("{}ms", 1000 * seconds / scale);
    sandbox.user_config(&format!(
        "[policy]\nmonitors = 100\nfirst_interval = \"{}\"\nslow_interval = \"{}\"\nregistration_deadline = \"{}\"\n\
         [[target]]\nname = \"web\"\nref = \"refs/heads/preview-*\"\n[target.provider]\nkind = \"http\"\nurl = \"{}\"\n\
         token_env = \"TOKEN\"\nitems = \"/deployments\"\ncommit = \"/commit\"\nstate = \"/state\"\n\
         words = {{ queued = [\"queued\"], building = [\"building\"], deploying = [\"deploying\"], live = [\"live\"], failed = [\"failed\"] }}\n",
        millis(5),
        millis(15),
        millis(300),
        host.url()
    ));
    let mut crowd = Crowd::default();
    ground.line_up(&members, &mut crowd);
    let seconds = |seconds: f64| Duration::from_secs_f64(seconds / f64::from(scale));
    let began = SystemTime::now();
    let mut ends = Vec::new();
    for (number, member) in members.iter().enumerate() {
        let is_last = number + 1 == monitors;
        let end = seconds(540.0 + 60.0 * (number + 1) as f64 / monitors as f64);
        let last_word = if is_last { "live" } else { "failed" };
        host.deploy(&member.commit, &[(seconds(20.0), "building"), (seconds(480.0), "deploying"), (end, last_word)]);
        ends.push(began + end);
    }
    let seen = crowd.follow(seconds(600.0) + Duration::from_secs(120));
    for (number, (outcome, _)) in seen.iter().enumerate() {
        assert_eq!(outcome, if number + 1 == monitors { "live" } else { "deploy_failed" });
    }
    let (mean, worst) = lateness(&seen, &ends);
    let scale = f64::from(scale);
    Figure { monitors, shares, calls: host.asked(), mean: mean * scale, worst: worst * scale }
}
