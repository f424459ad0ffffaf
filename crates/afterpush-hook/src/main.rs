//! `afterpush-hook pre-push <pid of the shim's parent> [remote] [url]`: see the library.

fn main() {
    afterpush_hook::run(std::env::args_os().skip(1));
}
