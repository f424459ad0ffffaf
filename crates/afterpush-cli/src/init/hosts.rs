//! Reads the files of each host. A file that cannot be read as what its name says is noted, and proposes nothing.

use serde_json::Value;

use super::{
    gather::File,
    pipelines,
    proposal::{Found, Proposal, is_plain},
};

/// Reads everything that is known.
pub(super) fn read(files: &[File], remotes: &[(String, String)], found: &mut Found) {
    for file in files {
        let (directory, name) = split(&file.path);
        match name {
            "app.yaml" | "app.yml" | "deploy.template.yaml" if last_part(directory) == ".do" => {
                digitalocean(file, parent(directory), found);
            }
            "project.json" if last_part(directory) == ".vercel" => vercel(file, parent(directory), files, found),
            "repo.json" if last_part(directory) == ".vercel" => vercel_repository(file, parent(directory), found),
            "vercel.json" => vercel_unlinked(file, directory, files, found),
            "state.json"
                if last_part(directory) == ".netlify" && !has(files, &join(parent(directory), "netlify.toml")) =>
            {
                netlify(file, parent(directory), None, Some(file), found);
            }
            "netlify.toml" => {
                let state = join(directory, ".netlify/state.json");
                netlify(file, directory, Some(file), files.iter().find(|file| file.path == state), found);
            }
            "render.yaml" => render(file, directory, found),
            "fly.toml" => fly(file, directory, found),
            "wrangler.toml" | "wrangler.json" | "wrangler.jsonc" => cloudflare(file, directory, found),
            "railway.toml" | "railway.json" => railway(file, directory, found),
            _ => {}
        }
    }
    heroku(remotes, found);
    pipelines::read(files, remotes, found);
}

/// The content of a TOML, YAML or JSON file, by its name; noted when it is none.
pub(super) fn document(file: &File, found: &mut Found) -> Option<Value> {
    let text = &file.text;
    let read = match file.path.rsplit('.').next() {
        Some("toml") => toml::from_str(text).map_err(|_| "TOML"),
        Some("json" | "jsonc") => {
            jsonc_parser::parse_to_serde_value(text, &jsonc_parser::ParseOptions::default()).map_err(|_| "JSON")
        }
        _ => serde_saphyr::from_str(text).map_err(|_| "YAML"),
    };
    match read {
        Ok(value) => Some(value),
        Err(format) => {
            found.note(&file.path, &format!("cannot be read as {format}"));
            None
        }
    }
}

/// A text that can be a name or an id, at a path of keys.
pub(super) fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer)?.as_str().filter(|text| is_plain(text)).map(|text| text.trim().to_owned())
}

/// The texts of a list.
pub(super) fn texts(value: &Value, pointer: &str) -> Vec<String> {
    let items = value.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(|text| text.trim_start_matches("./").to_owned()).collect()
}

/// The pattern for everything in a directory; none for the root.
pub(super) fn below(directory: &str) -> Vec<String> {
    let directory = directory.trim_start_matches("./").trim_matches('/');
    if directory.is_empty() || directory == "." { Vec::new() } else { vec![format!("{directory}/**")] }
}

/// A list of patterns that all are for the root's files: one that says what to leave out makes the whole list unusable.
pub(super) fn patterns(list: Vec<String>) -> Vec<String> {
    if list.iter().all(|pattern| super::proposal::is_pattern(pattern)) { list } else { Vec::new() }
}

fn digitalocean(file: &File, directory: &str, found: &mut Found) {
    let Some(mut spec) = document(file, found) else { return };
    if let Some(inner) = spec.get_mut("spec").filter(|inner| inner.is_object()).map(Value::take) {
        spec = inner;
    }
    let Some(app) = text(&spec, "/name") else { return found.note(&file.path, "names no app") };
    let parts = ["services", "workers", "jobs", "static_sites", "functions"]
        .iter()
        .filter_map(|key| spec.get(*key)?.as_array())
        .flatten();
    let branch = parts.clone().find_map(|part| {
        ["github", "gitlab", "bitbucket", "git"].iter().find_map(|host| text(part, &format!("/{host}/branch")))
    });
    let settings = vec![("app", app.clone())];
    let found_in = file.path.clone();
    found.proposals.push(Proposal {
        kind: "digitalocean",
        name: app,
        settings,
        branch,
        paths: below(directory),
        found: found_in,
        ..Proposal::default()
    });
}

fn vercel(file: &File, directory: &str, files: &[File], found: &mut Found) {
    let Some(link) = document(file, found) else { return };
    // `vercel pull` leaves one that has settings alone.
    let Some(project) = text(&link, "/projectId") else {
        if !has(files, &join(directory, "vercel.json")) {
            found.note(&file.path, "links no project; run `vercel link`");
        }
        return;
    };
    let name = text(&link, "/projectName").unwrap_or_else(|| named_after(directory));
    let settings = with_team(project, text(&link, "/orgId"));
    found.proposals.push(Proposal {
        kind: "vercel",
        name,
        settings,
        paths: below(directory),
        found: file.path.clone(),
        ..Proposal::default()
    });
}

fn vercel_repository(file: &File, directory: &str, found: &mut Found) {
    let Some(link) = document(file, found) else { return };
    let team = text(&link, "/orgId");
    for project in link.get("projects").and_then(Value::as_array).into_iter().flatten() {
        let Some(id) = text(project, "/id") else { continue };
        let own = text(project, "/directory").unwrap_or_default();
        let place = join(directory, own.trim_start_matches("./").trim_matches(['/', '.']));
        // A project's own link counts more.
        let settings = with_team(id, text(project, "/orgId").or_else(|| team.clone()));
        if found.proposals.iter().any(|other| other.kind == "vercel" && other.settings == settings) {
            continue;
        }
        let name = text(project, "/name").unwrap_or_else(|| named_after(&place));
        found.proposals.push(Proposal {
            kind: "vercel",
            name,
            settings,
            paths: below(&place),
            found: file.path.clone(),
            ..Proposal::default()
        });
    }
}

fn with_team(project: String, owner: Option<String>) -> Vec<(&'static str, String)> {
    let team = owner.filter(|owner| owner.starts_with("team_")).map(|team| ("team", team));
    [("project", project)].into_iter().chain(team).collect()
}

fn vercel_unlinked(file: &File, directory: &str, files: &[File], found: &mut Found) {
    let links = [join(directory, ".vercel/project.json"), ".vercel/repo.json".to_owned()];
    let is_link = |file: &File| {
        links.contains(&file.path) && (file.text.contains("\"projectId\"") || file.text.contains("\"projects\""))
    };
    if files.iter().any(is_link) {
        return;
    }
    let missing = "the project's id: run `vercel link` and `afterpush init` again; without it the project is looked for by the remote".to_owned();
    found.proposals.push(Proposal {
        kind: "vercel",
        name: named_after(directory),
        paths: below(directory),
        found: file.path.clone(),
        missing: vec![missing],
        ..Proposal::default()
    });
}

fn netlify(seen: &File, directory: &str, build: Option<&File>, state: Option<&File>, found: &mut Found) {
    let build = build.and_then(|file| document(file, found));
    let site = state.and_then(|file| document(file, found)).and_then(|state| text(&state, "/siteId"));
    let base = build.as_ref().and_then(|build| text(build, "/build/base")).unwrap_or_default();
    let place = if base.is_empty() { directory.to_owned() } else { base };
    let settings = site.clone().map(|site| ("site", site)).into_iter().collect();
    let missing =
        "the site's id: run `netlify link` and `afterpush init` again; without it the site is looked for by the remote"
            .to_owned();
    let missing = if site.is_none() { vec![missing] } else { Vec::new() };
    found.proposals.push(Proposal {
        kind: "netlify",
        name: named_after(&place),
        settings,
        paths: below(&place),
        found: seen.path.clone(),
        missing,
        ..Proposal::default()
    });
}

fn render(file: &File, directory: &str, found: &mut Found) {
    let Some(blueprint) = document(file, found) else { return };
    let grouped = blueprint.pointer("/projects").and_then(Value::as_array).into_iter().flatten();
    let grouped = grouped.filter_map(|project| project.get("environments")?.as_array()).flatten();
    let all = grouped.chain([&blueprint]).filter_map(|place| place.get("services")?.as_array()).flatten();
    for service in all {
        let (Some(name), kind) = (text(service, "/name"), text(service, "/type").unwrap_or_default()) else { continue };
        if ["redis", "keyvalue"].contains(&kind.as_str()) {
            continue;
        }
        if ["runtime", "env"].iter().any(|key| text(service, &format!("/{key}")).as_deref() == Some("image")) {
            found.note(&file.path, &format!("{name} runs an image, which names no commit"));
            continue;
        }
        let root = text(service, "/rootDir")
            .map(|root| below(&join(directory, root.trim_start_matches("./"))))
            .unwrap_or_default();
        let filter = patterns(texts(service, "/buildFilter/paths"));
        let paths = if filter.is_empty() { root } else { filter };
        let settings = vec![("service", name.clone())];
        found.proposals.push(Proposal {
            kind: "render",
            name,
            settings,
            branch: text(service, "/branch"),
            paths,
            found: file.path.clone(),
            ..Proposal::default()
        });
    }
}

fn fly(file: &File, directory: &str, found: &mut Found) {
    let Some(config) = document(file, found) else { return };
    let app = text(&config, "/app");
    let missing = if app.is_none() {
        vec!["the app's name: nothing at Fly.io tells the repository; `fly apps list` has it".to_owned()]
    } else {
        Vec::new()
    };
    let name = app.clone().unwrap_or_else(|| named_after(directory));
    let is_incomplete = app.is_none();
    let settings = vec![("app", app.unwrap_or_else(|| "NAME".to_owned()))];
    found.proposals.push(Proposal {
        kind: "fly",
        name,
        settings,
        paths: below(directory),
        found: file.path.clone(),
        missing,
        is_incomplete,
        ..Proposal::default()
    });
}

fn cloudflare(file: &File, directory: &str, found: &mut Found) {
    let Some(config) = document(file, found) else { return };
    if config.get("pages_build_output_dir").is_none() {
        return found
            .note(&file.path, "describes a Worker; only Pages are followed (kinds http and command take any host)");
    }
    let project = text(&config, "/name");
    let is_account = |id: &String| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let account = text(&config, "/account_id").filter(is_account);
    let mut missing = Vec::new();
    if account.is_none() {
        missing.push("the account's id (`wrangler whoami` has it): without it each account that the token sees is looked through".to_owned());
    }
    let name = project.clone().unwrap_or_else(|| named_after(directory));
    let settings = account.map(|id| ("account", id)).into_iter().chain(project.map(|name| ("project", name))).collect();
    found.proposals.push(Proposal {
        kind: "cloudflare",
        name,
        settings,
        paths: below(directory),
        found: file.path.clone(),
        missing,
        ..Proposal::default()
    });
}

fn railway(file: &File, directory: &str, found: &mut Found) {
    let Some(config) = document(file, found) else { return };
    let watched =
        texts(&config, "/build/watchPatterns").into_iter().map(|it| it.trim_start_matches('/').to_owned()).collect();
    let watched = patterns(watched);
    let paths = if watched.is_empty() { below(directory) } else { watched };
    let missing = vec![
        "the service's name, where several are built from this repository: add project, environment and service"
            .to_owned(),
    ];
    found.proposals.push(Proposal {
        kind: "railway",
        name: named_after(directory),
        paths,
        found: file.path.clone(),
        missing,
        ..Proposal::default()
    });
}

fn heroku(remotes: &[(String, String)], found: &mut Found) {
    for (remote, url) in remotes {
        let place = ["git.heroku.com/", "heroku.com:"].iter().find_map(|host| url.split_once(host));
        let Some((_, app)) = place else { continue };
        let app = app.trim_end_matches('/').trim_end_matches(".git").to_owned();
        if !is_plain(&app) || app.contains('/') {
            continue;
        }
        let missing = if remotes.len() > 1 {
            vec![format!("nothing, but know: pushes to other remotes than {remote} are looked for at this app, too")]
        } else {
            Vec::new()
        };
        let settings = vec![("app", app.clone())];
        found.proposals.push(Proposal {
            kind: "heroku",
            name: app,
            settings,
            found: format!("the remote {remote}"),
            missing,
            ..Proposal::default()
        });
    }
}

fn has(files: &[File], path: &str) -> bool {
    files.iter().any(|file| file.path == path)
}

/// The directory of a path, without a slash at its end, and the name.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn parent(directory: &str) -> &str {
    split(directory).0
}

fn last_part(directory: &str) -> &str {
    split(directory).1
}

pub(super) fn join(directory: &str, below: &str) -> String {
    match (directory, below) {
        ("", below) => below.to_owned(),
        (directory, "") => directory.to_owned(),
        (directory, below) => format!("{directory}/{below}"),
    }
}

fn named_after(directory: &str) -> String {
    let name = last_part(directory.trim_end_matches('/'));
    if name.is_empty() { "web".to_owned() } else { name.to_owned() }
}
