//! The lines that git writes to a hook and to whoever pushes, and the logs of strangers.

use afterpush_core::{
    id::CommitId,
    porcelain::{RefReport, Refusal, worth_another_attempt},
    push::{RefLine, parse_ref_line, read_push_arguments},
    redact::remote_url,
    text::{clean_line, clean_log, is_misleading, one_line},
};

/// What a pre-push hook is given: ref lines; each line also as the arguments of a `git push` and as a remote's address.
pub(super) fn hook_input(data: &[u8]) {
    for line in data.split(|byte| *byte == b'\n').filter_map(|line| str::from_utf8(line).ok()) {
        if let RefLine::Update(update) = parse_ref_line(line) {
            let (commit, name) = (update.commit.as_str(), update.ref_name.as_str());
            assert!(matches!(commit.len(), 40 | 64) && commit.bytes().all(|b| b.is_ascii_hexdigit()), "{commit}");
            assert!(name.starts_with("refs/") && !name.contains(char::is_control) && !name.contains(".."), "{name:?}");
            let zero = "0".repeat(40);
            let previous = update.previous.as_ref().map_or(zero.as_str(), CommitId::as_str);
            let again = parse_ref_line(&format!("HEAD {commit} {name} {previous}"));
            assert_eq!(again, RefLine::Update(update), "{line:?}");
        }
        let arguments = read_push_arguments(line.split(' '));
        assert!(arguments.is_push || !arguments.is_dry_run, "{line:?}");
        let address = remote_url(line);
        assert_eq!(remote_url(&address), address, "{line:?}: redacting twice is redacting once");
    }
}

/// What `git push --porcelain` prints.
pub(super) fn porcelain(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let reports: Vec<RefReport> = text.lines().filter_map(RefReport::read).collect();
    for report in &reports {
        assert_eq!(report.refusal().is_some(), report.flag == '!', "{report:?}");
        assert!(report.for_people().contains(&report.summary), "{report:?}");
    }
    let again = worth_another_attempt(&reports);
    let is_final = reports.iter().any(|report| report.refusal() == Some(Refusal::Final));
    assert!(again.is_empty() || !is_final, "{reports:?}");
    for (report, refusal) in again {
        let is_server = report.summary != "[rejected]";
        assert!(!is_server || refusal == Refusal::Race, "a word of the server's hooks counts as final: {report:?}");
    }
}

/// A provider's log.
pub(super) fn log_cleaning(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for (lines, chars) in [(20, 40), (1000, 1000), (3, 1)] {
        let log = clean_log(&text, lines, chars);
        assert!(log.len() <= lines);
        log.iter().for_each(|line| must_be_a_line(line, chars));
        assert_eq!(clean_log(&log.join("\n"), lines, chars), log, "cleaning twice is cleaning once");
        let line = clean_line(&text, chars);
        must_be_a_line(&line, chars);
        assert_eq!(clean_line(&line, chars), line);
        let line = one_line(&text, chars);
        must_be_a_line(&line, chars);
        assert!(!line.contains('\t') && one_line(&line, chars) == line, "{line:?}");
    }
}

fn must_be_a_line(line: &str, chars: usize) {
    assert!(line.chars().all(|c| c == '\t' || !(c.is_control() || is_misleading(c))), "{line:?}");
    assert!(line.chars().count() <= chars, "{line:?} is longer than {chars}");
}
