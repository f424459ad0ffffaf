//! What comes in on the hook's standard input: broken lines, no end, a megabyte. The sound lines count, and the push goes on.

use std::{
    fs,
    io::Write,
    process::{ChildStdin, Stdio},
    thread,
    time::Instant,
};

use afterpush_testkit::sandbox::{Project, Said, Sandbox, wait_until};

use crate::gits::{BRANCHES, runs};

const MAIN: &str = "refs/heads/main";

/// Runs the installed hook as git would, with `feed` writing its standard input. What `feed` gives back stays open until the
/// hook has ended, which it must do by itself.
fn hook(
    sandbox: &Sandbox,
    project: &Project<'_>,
    feed: impl FnOnce(ChildStdin) -> Option<ChildStdin> + Send + 'static,
) -> Said {
    let (out, err) = (sandbox.path().join("hook.out"), sandbox.path().join("hook.err"));
    let mut command = sandbox.command(project.work.join(".git/hooks/pre-push"), &project.work);
    command.args(["origin", project.bare.to_str().unwrap()]).stdin(Stdio::piped());
    command.stdout(fs::File::create(&out).unwrap()).stderr(fs::File::create(&err).unwrap());
    let began = Instant::now();
    let mut child = command.spawn().unwrap();
    let input = child.stdin.take().unwrap();
    let writer = thread::spawn(move || feed(input));
    let mut status = None;
    wait_until("the hook's end", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    let took = began.elapsed();
    drop(writer.join().unwrap());
    let read = |path| String::from_utf8(fs::read(path).unwrap()).unwrap();
    let said = Said { code: status.unwrap().code(), stdout: read(out), stderr: read(err), took };
    assert_eq!((said.code, said.stdout.as_str()), (Some(0), ""), "{said:?}");
    assert!(said.stderr.lines().count() <= 1, "at most one line: {said:?}");
    said
}

/// Feeds bytes to the end.
fn bytes(bytes: Vec<u8>) -> impl FnOnce(ChildStdin) -> Option<ChildStdin> + Send + 'static {
    move |mut input| {
        // A hook may stop reading early.
        let _ = input.write_all(&bytes);
        None
    }
}

/// A line of a push that creates `name`.
fn line(commit: &str, name: &str) -> String {
    format!("refs/heads/x {commit} {name} {}\n", "0".repeat(40))
}

#[test]
fn broken_lines_of_the_hooks_input_are_skipped_and_the_sound_ones_count() {
    let sandbox = Sandbox::new();
    let project = sandbox.project(BRANCHES);
    let commit = project.head();
    let zero = "0".repeat(40);
    let not_utf8 =
        [format!("refs/heads/x {commit} refs/heads/").as_bytes(), b"\xff\xfe ", zero.as_bytes(), b"\n"].concat();
    let broken: Vec<Vec<u8>> = vec![
        b"\n\n\n".to_vec(),
        b"\0\0\0\n".to_vec(),
        b"refs/heads/x\n".to_vec(),
        format!("refs/heads/x {commit}\n").into(),
        format!("refs/heads/x {commit} refs/heads/x\n").into(),
        format!("refs/heads/x {commit} refs/heads/x {zero} more\n").into(),
        format!("refs/heads/x {} refs/heads/x {zero}\n", &commit[..39]).into(),
        format!("refs/heads/x {commit}0 refs/heads/x {zero}\n").into(),
        format!("refs/heads/x {commit} refs/heads/x {}\n", &commit[..39]).into(),
        format!("refs/heads/x {commit} refs/heads/../x {zero}\n").into(),
        format!("refs/heads/x {commit} x {zero}\n").into(),
        format!("(delete) {zero} refs/heads/x {commit}\n").into(),
        not_utf8,
    ];
    let endings: [&[u8]; 4] = [b"", b"refs/heads/x", &[b'x'; 2 << 20], &[0; 2 << 20]];
    for input in broken.iter().map(Vec::as_slice).chain(endings) {
        let said = hook(&sandbox, &project, bytes(input.to_vec()));
        let what = String::from_utf8_lossy(&input[..input.len().min(200)]);
        assert!(runs(&sandbox).is_empty(), "{what}: {said:?}");
    }
    // All of them, a sound line among them, and one at the end, which need not have a newline.
    let sound = line(&commit, MAIN).into_bytes();
    let last = line(&commit, "refs/heads/last").trim_end().into();
    let input = [broken[..6].concat(), sound, broken[6..].concat(), last].concat();
    let said = hook(&sandbox, &project, bytes(input));
    assert_eq!(said.stderr, "afterpush: watching 2 refs; `deploy-status` tells\n");
    assert_eq!(runs(&sandbox).len(), 2);
}

#[test]
fn an_input_that_does_not_end_does_not_hold_the_hook() {
    let sandbox = Sandbox::new();
    let project = sandbox.project(BRANCHES);
    let held_open = |text: String| {
        move |mut input: ChildStdin| {
            input.write_all(text.as_bytes()).unwrap();
            Some(input)
        }
    };
    assert_eq!(hook(&sandbox, &project, held_open(String::new())).stderr, "");
    assert!(runs(&sandbox).is_empty());
    let said = hook(&sandbox, &project, held_open(line(&project.head(), MAIN)));
    assert!(said.stderr.contains("afterpush: watching"), "{said:?}");
    assert_eq!(runs(&sandbox).len(), 1);
    let endless = line(&project.head(), "refs/tags/none").repeat(1000);
    hook(&sandbox, &project, move |mut input| {
        while input.write_all(endless.as_bytes()).is_ok() {}
        None
    });
    assert_eq!(runs(&sandbox).len(), 1);
}

#[test]
fn a_megabyte_of_refs_hides_no_watched_one_silently() {
    for is_first in [true, false] {
        let sandbox = Sandbox::new();
        let project = sandbox.project(&BRANCHES.replace("refs/heads/*", MAIN));
        let commit = project.head();
        let others: String = (0..12_000).map(|number| line(&commit, &format!("refs/heads/number-{number}"))).collect();
        assert!(others.len() > 1 << 20);
        let ours = line(&commit, MAIN);
        let input = if is_first { ours + &others } else { others + &ours };
        let said = hook(&sandbox, &project, bytes(input.into()));
        let is_watched = runs(&sandbox).len() == 1;
        assert_eq!(said.stderr.lines().count(), 1, "it is watched or skipped with one line: {said:?}");
        assert_eq!(is_watched, said.stderr.contains("afterpush: watching"), "{said:?}");
        assert!(is_watched || !is_first, "what comes within the limit is watched: {said:?}");
    }
}
