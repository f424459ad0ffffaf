//! Identities of processes.

use std::{
    process::{Command, Stdio},
    sync::mpsc,
    thread,
};

use afterpush_store::{find_pusher, process};

#[test]
fn a_process_is_alive_only_under_its_whole_identity() {
    let me = process::current().unwrap();
    assert_eq!(me.pid.unsigned_abs(), std::process::id());
    assert!(process::is_alive(&me));
    let mut recycled = me.clone();
    recycled.start_time += 1;
    let mut other_boot = me.clone();
    other_boot.boot_id = "11111111-2222-3333-4444-555555555555".into();
    let mut container = me.clone();
    container.pid_namespace = "pid:[1]".into();
    for other in [recycled, other_boot, container] {
        assert!(!process::is_alive(&other), "{other:?}");
    }
}

#[test]
fn a_process_that_ended_is_not_alive() {
    let mut child = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
    let id = process::identify(i32::try_from(child.id()).unwrap()).unwrap();
    assert!(process::is_alive(&id));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!process::is_alive(&id));
    assert!(process::identify(i32::MAX).is_err());
}

#[test]
fn t6_a_thread_with_the_recorded_number_is_not_the_process() {
    let (send, receive) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        send.send(nix::unistd::gettid().as_raw()).unwrap();
        let _ = ended.recv();
    });
    let id = process::identify(receive.recv().unwrap()).unwrap();
    assert!(!process::is_alive(&id), "{id:?} is a thread of this process");
    drop(end);
    thread.join().unwrap();
}

#[test]
fn no_push_above_means_no_pusher() {
    assert_eq!(find_pusher(0), None);
    assert_eq!(find_pusher(-1), None);
    assert_eq!(find_pusher(i32::MAX), None);
    assert_eq!(find_pusher(1), None);
}
