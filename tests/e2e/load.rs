//! Many more runs than places, of several repositories, that end in every way: each is followed once, in the order of the
//! pushes, and told right. A thousand at once are a figure: `tests/bench load`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use afterpush_testkit::{
    digitalocean::{Fate, Simulator},
    sandbox::{Project, Sandbox, wait_until},
};

const REPOSITORIES: usize = 2;
const WAVES: usize = 4;
const PLACES: usize = REPOSITORIES * Fate::EACH.len();

/// One push of five refs, whose deployments end in five ways.
struct Push {
    repository: usize,
    runs: Vec<(String, Fate)>,
}

/// The commits whose deployments are being followed, of all repositories.
fn followed(project: &Project<'_>) -> BTreeSet<String> {
    let said = project.afterpush(&["list", "--all", "--json"]);
    let runs = said.json()["runs"].as_array().unwrap().clone();
    let followed = runs.into_iter().filter(|run| run["phase"] == "deploying");
    followed.map(|run| run["commit"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn forty_runs_for_ten_places_are_each_followed_once_in_their_order_and_told_right() {
    let simulator = Simulator::start();
    let sandbox = Sandbox::new();
    sandbox.user_config(&format!(
        "[provider.digitalocean]\napi_url = \"{}\"\n[policy]\nfirst_interval = \"200ms\"\nslow_interval = \"500ms\"\n\
         monitors = {PLACES}\n",
        simulator.url()
    ));
    sandbox.credentials("[digitalocean]\ntoken = \"test-token\"\n");
    let repositories: Vec<(String, Project<'_>)> = (0..REPOSITORIES)
        .map(|number| {
            let name = format!("app{number}");
            let app = simulator.add_app(&name, &format!("acme/{name}"), "main", "https://web.example");
            let target = format!(
                "[[target]]\nname = \"web\"\nref = \"refs/heads/*\"\n\
                 provider = {{ kind = \"digitalocean\", app = \"{app}\" }}\n"
            );
            (app, sandbox.project_named(&name, &target))
        })
        .collect();

    let mut waves: Vec<Vec<Push>> = Vec::new();
    for wave in 0..WAVES {
        let pushes = repositories.iter().enumerate().map(|(repository, (app, project))| {
            let runs = Fate::commits(project, &format!("wave {wave}"));
            for (commit, _) in &runs {
                simulator.deploy(app, commit).set_phase("BUILDING");
            }
            let refs = runs.iter().enumerate().map(|(at, (commit, _))| format!("{commit}:refs/heads/{wave}-{at}"));
            let arguments: Vec<String> = std::iter::once("origin".to_owned()).chain(refs).collect();
            let said = project.push(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(said.code, Some(0), "{said:?}");
            Push { repository, runs }
        });
        waves.push(pushes.collect());
    }

    for wave in &waves {
        let expected: BTreeSet<String> =
            wave.iter().flat_map(|push| &push.runs).map(|(commit, _)| commit.clone()).collect();
        wait_until("the pushes whose turn it is, and no other", || followed(&repositories[0].1) == expected);
        for push in wave {
            simulator.end(&repositories[push.repository].0, &push.runs);
        }
        for push in wave {
            let project = &repositories[push.repository].1;
            for (commit, fate) in &push.runs {
                let result = project.result(commit);
                assert_eq!(result["outcome"], fate.outcome(), "{fate:?}: {result:#}");
                if *fate == Fate::Failed {
                    let log = fs::read_to_string(project.runs(commit)[0].join("provider.log")).unwrap();
                    assert!(log.contains(commit), "the log of another deployment: {log}");
                }
            }
        }
    }

    wait_until("the monitors' end", || sandbox.monitors().is_empty());
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    for (_, project) in &repositories {
        let pushed = waves.iter().flatten().find(|push| repositories[push.repository].1.work == project.work).unwrap();
        let run = project.runs(&pushed.runs[0].0).remove(0);
        let history = fs::read_to_string(run.ancestors().nth(3).unwrap().join("history.jsonl")).unwrap();
        for line in history.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            *ends.entry(line["commit"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    assert_eq!(ends.len(), WAVES * PLACES, "each run has ended: {ends:?}");
    assert!(ends.values().all(|times| *times == 1), "no run has ended twice: {ends:?}");
}
