# shellcheck shell=bash
# What the scripts share: help, the repository's root, steps with their durations. Sourced, not run.

# The comment at the top of the script is its help.
print_help() {
    sed -n '2,/^$/s/^# \{0,1\}//p' "$root/scripts/$(basename "$0")"
}

# Where the repository is, whatever the current directory.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Cargo resolves a relative target directory against the current directory, which the scripts change.
if [[ -n ${CARGO_TARGET_DIR:-} && $CARGO_TARGET_DIR != /* ]]; then
    export CARGO_TARGET_DIR="$PWD/$CARGO_TARGET_DIR"
fi
# shellcheck disable=SC2034 # used by the scripts that source this file
target=${CARGO_TARGET_DIR:-$root/target}
cd "$root" || exit

# die MESSAGE: ends the script.
die() {
    printf '%s: %s\n' "scripts/$(basename "$0")" "$1" >&2
    exit 1
}

# step NAME COMMAND...: runs a command and says how long it took. Ends the script if it fails.
step() {
    local name=$1 started=$SECONDS
    shift
    printf '==> %s: %s\n' "$name" "$*" >&2
    "$@" || die "$name failed after $((SECONDS - started)) s"
    printf '<== %s: %d s\n' "$name" $((SECONDS - started)) >&2
}

# Whether version $1 is at least version $2.
is_at_least() {
    [[ $(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1) == "$2" ]]
}

# Ends the script unless there is a Rust toolchain that can build this repository.
require_rust() {
    local wanted found
    wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
    [[ -n $wanted ]] || die "Cargo.toml has no rust-version"
    command -v cargo >/dev/null ||
        die "cargo is missing (install Rust $wanted or newer: https://rustup.rs)"
    found=$(rustc --version | cut -d ' ' -f 2)
    is_at_least "${found%%-*}" "$wanted" ||
        die "rustc $found is older than $wanted (rustup update stable)"
    command -v cc >/dev/null ||
        die "a C compiler is missing (on Debian: apt-get install build-essential)"
    local tool
    for tool in fmt clippy; do
        cargo "$tool" --version >/dev/null 2>&1 ||
            die "cargo $tool is missing (rustup component add rustfmt clippy)"
    done
}
