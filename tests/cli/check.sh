# SPDX-License-Identifier: Apache-2.0
# What the tests of the command share: run it, look at its status and at what it says. Sourced.
checks=0 failures=0

fail() {
    failures=$((failures + 1))
    printf 'FAILED: %s\n' "$*" >&2
    sed 's/^/    stderr: /' err >&2
}

# expect STATUS command...: run, keep out and err
expect() {
    local wanted=$1 status
    shift
    checks=$((checks + 1))
    "$@" >out 2>err
    status=$?
    last="$*"
    [ "$status" -eq "$wanted" ] || fail "status $status instead of $wanted: $last"
}

# says out|err TEXT: the last command said it
says() {
    checks=$((checks + 1))
    grep -qF -- "$2" "$1" || fail "no \"$2\" on $1: $last"
}

silent() {
    checks=$((checks + 1))
    [ ! -s "$1" ] || fail "something on $1: $last"
}

no_file() {
    checks=$((checks + 1))
    [ ! -e "$1" ] || fail "$1 was written: $last"
}

