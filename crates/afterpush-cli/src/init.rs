//! `afterpush init`: looks for the provider's own files and writes `.afterpush.toml`. Never overwrites one.

use std::{
    env,
    fmt::Write as _,
    fs::{self, OpenOptions},
    io::{ErrorKind as IoErrorKind, Write},
    path::Path,
};

use toml::Value;

use crate::{
    context::Context,
    error::{CommandError, ErrorKind},
    output::Output,
};

/// The variables that a token is looked for in, in this order.
const TOKENS: [&str; 2] = ["DIGITALOCEAN_ACCESS_TOKEN", "DIGITALOCEAN_TOKEN"];

/// Where DigitalOcean's own tools look for the app's description.
const APP_FILES: [&str; 3] = [".do/app.yaml", ".do/app.yml", ".do/deploy.template.yaml"];

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    /// The app's description.
    file: Option<&'static str>,
    /// The app's name, as it says.
    app: Option<String>,
    /// The branch that is deployed, or the current one.
    branch: Option<String>,
}

/// Writes the configuration and says what it is made of.
pub(crate) fn init(context: &Context, output: &mut Output) -> Result<u8, CommandError> {
    let repository = context.repository()?;
    let (Some(path), Some(work_tree)) = (repository.config_path(), &repository.work_tree) else {
        return Err(CommandError::new(ErrorKind::Usage, "a bare repository has no work tree for .afterpush.toml"));
    };
    let git = context.git()?;
    let current = git.head_branch().and_then(|branch| branch.branch().map(str::to_owned));
    let found = look(work_tree, current);
    write_new(&path, &configuration(&found))?;

    let remotes = git.remotes()?;
    let remote = remotes.iter().find(|(name, _)| name == "origin").or_else(|| remotes.first());
    let mut text = format!("wrote {}\n", path.display());
    match found.file {
        Some(file) => writeln!(text, "  found {file}: the provider is DigitalOcean App Platform"),
        None => writeln!(text, "  found no provider's own file: everything in it is commented out, for you to fill in"),
    }
    .expect("a String takes every text");
    if let Some(branch) = &found.branch {
        writeln!(text, "  pushes of {branch} are watched").expect("a String takes every text");
    }
    match remote {
        Some((name, url)) => writeln!(text, "  remote {name}: {}", afterpush_core::redact::remote_url(url)),
        None => writeln!(text, "  missing: a remote to push to (`git remote add origin <address>`)"),
    }
    .expect("a String takes every text");
    if found.file.is_some() && !TOKENS.iter().any(|name| env::var_os(name).is_some()) {
        writeln!(text, "  missing: a token in {} (or the login of doctl)", TOKENS.join(" or "))
            .expect("a String takes every text");
    }
    text.push_str("next: `afterpush install`, then `afterpush doctor`\n");
    output.print(&text)?;
    Ok(0)
}

fn write_new(path: &Path, text: &str) -> Result<(), CommandError> {
    let refuse = |error: std::io::Error| {
        if error.kind() == IoErrorKind::AlreadyExists {
            return CommandError::new(
                ErrorKind::Usage,
                format!("{} is there already and was left as it is", path.display()),
            )
            .hint("edit it, or move it away first; `afterpush doctor` checks it");
        }
        CommandError::because(ErrorKind::Refused, &format!("cannot write {}", path.display()), &error)
    };
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(refuse)?;
    file.write_all(text.as_bytes()).map_err(refuse)
}

fn look(work_tree: &Path, current: Option<String>) -> Found {
    for file in APP_FILES {
        if let Ok(text) = fs::read_to_string(work_tree.join(file)) {
            let app = value_of(&text, "name", Place::Top);
            let branch = value_of(&text, "branch", Place::Anywhere).or(current);
            return Found { file: Some(file), app, branch };
        }
    }
    Found { file: None, app: None, branch: current }
}

/// Where a key may stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    Anywhere,
}

/// The plain value of the first such key of a YAML file. Only names and branches are looked for, which need none of YAML's
/// finer points; a value that does not look like one is taken for absent, and the person fills it in.
fn value_of(text: &str, key: &str, place: Place) -> Option<String> {
    text.lines().find_map(|line| {
        let bare = line.trim_start().trim_start_matches("- ").trim_start();
        if place == Place::Top && line.starts_with([' ', '\t', '-']) {
            return None;
        }
        let value = bare.strip_prefix(key)?.strip_prefix(':')?;
        let value = value.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
        (!value.is_empty() && value.len() <= 100 && value.chars().all(is_plain)).then(|| value.to_owned())
    })
}

fn configuration(found: &Found) -> String {
    let quoted = |text: &str| Value::String(text.to_owned()).to_string();
    let branch = found.branch.as_deref().unwrap_or("main");
    let app = found.app.as_deref();
    let is_name =
        |name: &&str| name.len() <= 64 && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && !name.contains('/');
    let name = app.filter(is_name).unwrap_or("web");
    let app = app.map(|app| format!(", app = {}", quoted(app))).unwrap_or_default();
    let target = format!(
        "[[target]]\n\
         name = {}\n\
         branch = {}\n\
         provider = {{ kind = \"digitalocean\"{app} }}\n",
        quoted(name),
        quoted(branch),
    );
    let health = "\
# The health check asks the deployed application itself. `commit` says where its answer names the commit that it runs: a JSON\n\
# pointer (\"/commit\"), a header (\"x-commit\") or a regular expression.\n\
# health = { path = \"/health\", commit = \"/commit\", passes = 3 }\n";
    let head =
        "# What a push of this repository deploys to. `afterpush doctor` checks this file; it holds no secrets.\n";
    if found.file.is_some() {
        return format!("{head}\n{target}{health}");
    }
    let commented: String = target.lines().map(|line| format!("# {line}\n")).collect();
    format!(
        "{head}#\n# No provider's own file was found here. Remove the marks below and fill in what fits.\n\n{commented}{health}"
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use afterpush_core::{
        config::{Source, combine},
        id::RefName,
    };

    use super::*;

    const APP: &str = "\
# an app
name: 'storefront'   # its name
services:
- name: api
  github:
    branch: production
    repo: acme/storefront
";

    #[test]
    fn the_app_and_its_branch_are_found() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(".do")).unwrap();
        fs::write(dir.path().join(".do/app.yaml"), APP).unwrap();
        let found = look(dir.path(), Some("topic".into()));
        assert_eq!(found.app.as_deref(), Some("storefront"));
        assert_eq!(found.branch.as_deref(), Some("production"));
        assert_eq!(look(Path::new("/nowhere"), Some("topic".into())).branch.as_deref(), Some("topic"));
    }

    #[test]
    fn what_is_written_is_a_valid_configuration() {
        let found = Found { file: Some(".do/app.yaml"), app: Some("storefront".into()), branch: Some("a\"b".into()) };
        for (found, targets) in [(found, 1), (Found::default(), 0), (Found { file: Some("x"), ..Found::default() }, 1)]
        {
            let text = configuration(&found);
            let config = combine(Some(Source { name: "x", text: &text }), false, None).unwrap();
            assert_eq!(config.targets.len(), targets, "{text}");
        }
    }

    #[test]
    fn every_commented_line_of_the_template_is_valid_once_uncommented() {
        let text = configuration(&Found { branch: Some("main".into()), ..Found::default() });
        let body = text.split_once("\n\n").unwrap().1;
        let is_code = |line: &&str| line.contains(" = ") || line.contains("[[");
        let code: String =
            body.lines().map(|line| line.trim_start_matches("# ")).filter(is_code).map(|l| format!("{l}\n")).collect();
        let config = combine(Some(Source { name: "x", text: &code }), false, None).unwrap();
        let main = RefName::parse("refs/heads/main").unwrap();
        assert!(config.targets_of(&main).next().unwrap().health.len() == 1);
    }
}
