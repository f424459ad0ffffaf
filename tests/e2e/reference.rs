//! What is generated from the code is what stands in the documentation.

use std::{fs, path::PathBuf};

/// Compares a generated text with the one in docs/reference; `AFTERPUSH_BLESS=1` writes it instead.
fn check(name: &str, generated: &str) {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference")).join(name);
    if std::env::var_os("AFTERPUSH_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, generated).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == generated,
        "{} is not what the code says; run AFTERPUSH_BLESS=1 tests/run -p afterpush-tests reference",
        path.display()
    );
}

#[test]
fn the_json_schema_of_status_and_result() {
    let schema = afterpush_core::file::report_schema();
    check("schema/report.schema.json", &(serde_json::to_string_pretty(&schema).unwrap() + "\n"));
}

#[test]
fn the_command_line() {
    let sandbox = afterpush_testkit::sandbox::Sandbox::new();
    let mut text = String::from("# The command line\n\nGenerated from the programs' own help.\n");
    let help = |arguments: &[&str]| {
        let said = sandbox.afterpush(sandbox.path(), arguments);
        assert_eq!(said.code, Some(0), "{arguments:?}: {said:?}");
        said.stdout.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
    };
    let main = help(&["--help"]);
    text.push_str(&format!("\n```\n{main}\n```\n"));
    let commands = main.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
    // A name stands after two spaces; the lines that its description wraps to begin further right.
    let named = |line: &&str| line.starts_with("  ") && !line.starts_with("   ");
    let lines = commands.take_while(|line| !line.is_empty()).filter(named);
    let names: Vec<_> = lines.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names.into_iter().filter(|name| *name != "help") {
        text.push_str(&format!("\n## afterpush {name}\n\n```\n{}\n```\n", help(&[name, "--help"])));
    }
    check("command-line.md", &text);
}
