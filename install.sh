#!/bin/sh
# Builds afterpush from this checkout and installs it; see usage below. Run it again at any time: it replaces by rename, so
# that monitors and hooks that are running now are not disturbed. It never asks for root and edits no shell start-up file.
set -eu

usage() {
    cat <<'EOF'
usage: ./install.sh [--prefix DIR] [--demo]     build and install into DIR/bin (default: ~/.local/bin)
       ./install.sh [--prefix DIR] --uninstall  remove what was installed there

  --demo       afterwards run the main job on this machine: no account and no network needed
  --prefix     install into DIR/bin instead of ~/.local/bin
  --uninstall  remove the programs; says what stays
EOF
}

say() { printf '%s\n' "$*"; }
fail() {
    printf 'error: %s\n' "$1" >&2
    shift
    for hint in "$@"; do printf '\nhint: %s\n' "$hint" >&2; done
    exit 1
}

programs='afterpush deploy-status afterpush-hook afterpush-monitor'
prefix=${HOME:-}/.local
action=install
demo=no
while [ $# -gt 0 ]; do
    case $1 in
        --prefix)
            [ $# -ge 2 ] || fail "--prefix needs a directory"
            prefix=$2
            shift
            ;;
        --prefix=*) prefix=${1#--prefix=} ;;
        --demo) demo=yes ;;
        --uninstall) action=uninstall ;;
        -h | --help)
            usage
            exit 0
            ;;
        *)
            usage >&2
            exit 64
            ;;
    esac
    shift
done
case $prefix in
    '' | /.local) fail "HOME is not set" "name a place: ./install.sh --prefix DIR" ;;
    /*) ;;
    *) prefix=$(pwd)/$prefix ;;
esac
bin=$prefix/bin

if [ "$action" = uninstall ]; then
    removed=no
    for program in $programs; do
        if [ -e "$bin/$program" ]; then
            rm -f "$bin/$program"
            say "removed $bin/$program"
            removed=yes
        fi
    done
    [ "$removed" = yes ] || say "nothing was installed in $bin"
    say "Stored runs and your configuration stay: ${XDG_STATE_HOME:-${HOME:-~}/.local/state}/afterpush and ${XDG_CONFIG_HOME:-${HOME:-~}/.config}/afterpush."
    say "A hook that 'afterpush install' put into a repository does nothing without these programs;"
    say "to remove it as well, run 'afterpush uninstall' there before you uninstall, or delete its hook pre-push (and reference-transaction)."
    exit 0
fi

cd "$(dirname "$0")"
command -v cargo >/dev/null 2>&1 || {
    [ -x "${CARGO_HOME:-${HOME:-}/.cargo}/bin/cargo" ] && PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
}
command -v cargo >/dev/null 2>&1 ||
    fail "cargo, the Rust build tool, is not installed" \
        "get it from https://rustup.rs (it needs no root), then run this again"
command -v "${CC:-cc}" >/dev/null 2>&1 ||
    fail "no C compiler is installed; libgit2 and SQLite are built from source" \
        "install one (Debian and Ubuntu: apt install gcc libc6-dev; Fedora: dnf install gcc; macOS: xcode-select --install)"

say "building (the first time takes some minutes) ..."
cargo build --release --locked --quiet -p afterpush-cli -p afterpush-monitor

# A hook that is linked dynamically cannot start where its loader is missing (a repository mounted into another system),
# and git before 2.54 hangs for ever on such a hook. The shim guards against that as well; this is the first line.
build_hook() { cargo rustc --release --locked --quiet -p afterpush-hook --bin afterpush-hook -- "$@"; }
case $(rustc -vV | sed -n 's/^host: //p') in
    *-linux-gnu*)
        if ! build_hook -C target-feature=+crt-static 2>"${TMPDIR:-/tmp}/afterpush-build.$$"; then
            cat "${TMPDIR:-/tmp}/afterpush-build.$$" >&2
            rm -f "${TMPDIR:-/tmp}/afterpush-build.$$"
            fail "the hook could not be linked statically" \
                "install the C library's static half (Debian: libc6-dev; Fedora: glibc-static), then run this again"
        fi
        rm -f "${TMPDIR:-/tmp}/afterpush-build.$$"
        ;;
    *) build_hook ;;
esac

mkdir -p "$bin"
target=${CARGO_TARGET_DIR:-target}/release
for program in $programs; do
    # By rename: a program that runs now keeps its old file, and nobody ever sees half of the new one.
    cp "$target/$program" "$bin/.$program.$$"
    chmod 755 "$bin/.$program.$$"
    mv -f "$bin/.$program.$$" "$bin/$program"
done
say "installed into $bin: $programs"
case :$PATH: in
    *":$bin:"*) ;;
    *) say "note: $bin is not in your PATH; add it to use the commands by name" ;;
esac
say "next, in a repository:  afterpush init && afterpush install"

if [ "$demo" = yes ]; then
    say ""
    "$bin/afterpush" demo
fi
