#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Jobs that the ranks of mpirun share, on one machine: the same bytes as one process, one voice, and nothing lost when a
# rank is killed.
# usage: test_ranks.sh CLEAVE MPIRUN
set -u
cleave=$(realpath "$1")
mpirun=$2
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
# shellcheck source=tests/cli/check.sh
. "$here/../cli/check.sh"
export ASAN_OPTIONS=detect_leaks=0 # of MPI itself
# More ranks than cores, perhaps as root in a container: what Open MPI asks to be told.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
ranks() {
    local n=$1
    shift
    timeout 120 "$mpirun" -n "$n" "$@"
}

once() {
    checks=$((checks + 1))
    [ "$(grep -c -- "$2" "$1")" = 1 ] || fail "\"$2\" is $(grep -c -- "$2" "$1") times on $1: $last"
}

fails() {
    checks=$((checks + 1))
    "$@" >out 2>err && fail "done, where a failure was expected: $*"
    last="$*"
}

# --- a process alone has nothing to do with MPI
expect 0 ldd "$cleave"
checks=$((checks + 1))
grep -qi "libmpi" out && fail "the command is linked with MPI"

# --- training: the same bytes for 1, 2 and 4 ranks, whose statistics and gradients are of the whole batch
train=("$cleave" train --arch resnet8 --width 0.25 --data "builtin:shapes?n=150&seed=1" --held-out 22 --batch 32 --threads 1)
expect 0 "${train[@]}" --epochs 3 -o alone.onnx
for n in 2 4; do
    expect 0 ranks $n "${train[@]}" --epochs 3 -o shared.onnx --log log.json --plot plot.svg
    expect 0 cmp alone.onnx shared.onnx
    expect 0 ranks $n "${train[@]}" --epochs 3 -o shared.onnx --json out.json
    once out "images_held_out\|images held out"
    once err "epoch 3 of 3"
    expect 0 test -s out.json
done
expect 0 test -s log.json -a -s plot.svg
expect 0 "${train[@]}" --epochs 1 --optimiser adamw --clip 1 --cutout 6 -o alone.onnx
expect 0 ranks 4 "${train[@]}" --epochs 1 --optimiser adamw --clip 1 --cutout 6 -o shared.onnx --threads 2
expect 0 cmp alone.onnx shared.onnx
changes=(--crop 0.5 --jitter 0.2 --mixup 0.3 --average 0.9)
expect 0 "${train[@]}" --epochs 2 "${changes[@]}" -o alone.onnx
expect 0 ranks 2 "${train[@]}" --epochs 2 "${changes[@]}" -o shared.onnx
expect 0 cmp alone.onnx shared.onnx
# three cannot share four lanes: other sums, the same network within rounding
expect 0 "${train[@]}" --epochs 1 --batch 48 --rate 0.01 -o alone.onnx
expect 0 ranks 3 "${train[@]}" --epochs 1 --batch 48 --rate 0.01 -o shared.onnx
expect 0 "$cleave" diff alone.onnx shared.onnx --images "builtin:shapes?n=20&seed=2" --tolerance 1e-5

# --- healing
expect 0 "$cleave" compress alone.onnx --calibration "builtin:shapes?n=64&seed=1" --samples 512 --budget macs=50% -o small.onnx
heal=("$cleave" heal small.onnx --teacher alone.onnx --images "builtin:shapes?n=150&seed=1" --batch 32 --threads 1)
expect 0 "${heal[@]}" --steps 14 -o healed.onnx
expect 0 ranks 4 "${heal[@]}" --steps 14 -o shared.onnx
once out "agreement_after\|agreement after"
expect 0 cmp healed.onnx shared.onnx
expect 0 ranks 2 "${heal[@]}" --time 2s -o shared.onnx

# --- statistics: what shards and their sum are
stats=("$cleave" stats alone.onnx --calibration "builtin:shapes?n=50&seed=1" --samples 2048 --threads 1)
for k in 1 2 3; do
    expect 0 "${stats[@]}" -o part$k.clvstats --shard $k/3
done
expect 0 "$cleave" stats merge part1.clvstats part2.clvstats part3.clvstats -o merged.clvstats
expect 0 ranks 3 "${stats[@]}" -o shared.clvstats
once out "convolutions"
expect 0 cmp merged.clvstats shared.clvstats
no_file shared.clvstats.rank0
no_file shared.clvstats.rank1
fails ranks 2 "${stats[@]}" -o x.clvstats --shard 1/2
once err "cannot be shared"
no_file x.clvstats
expect 0 ranks 2 "$cleave" stats show shared.clvstats
once out "convolutions"

# --- ranks that were started with different arguments, or that fail: one says so, and all end
fails ranks 2 sh -c "exec \"\$@\" --seed \$((\${OMPI_COMM_WORLD_RANK:-\$PMI_RANK} + 1))" - "${train[@]}" --epochs 1 -o x.onnx
once err "rank 1 of 2 has other"
fails ranks 4 "${train[@]}" --epochs 1 --batch 30 -o x.onnx
once err "multiple of 4"
fails ranks 2 "${train[@]}" --epochs 1 -o nowhere/x.onnx
once err "cleave train: .*nowhere"
expect 0 ranks 2 "$cleave" inspect alone.onnx
says err "does not share its work"

# --- a rank is killed: the job ends, and goes on to the same bytes from the step before
long=("${train[@]}" --epochs 40 --checkpoint state --resume)
expect 0 "${train[@]}" --epochs 40 -o whole.onnx
start() {
    rm -f state pid.*
    # shellcheck disable=SC2016
    timeout 120 "$mpirun" -n "$1" sh -c 'echo $$ >pid.${OMPI_COMM_WORLD_RANK:-$PMI_RANK}; exec "$@"' - "${long[@]}" -o part.onnx >out 2>err &
    job=$!
    last="mpirun ${long[*]}"
    for _ in $(seq 1200); do
        [ -s state ] && [ -s "pid.$2" ] && break
        sleep 0.05
    done
}
ended() {
    wait "$job"
    local status=$?
    checks=$((checks + 1))
    [ "$status" != 0 ] || fail "status 0 after a kill: $last"
    expect 0 test -s state
}
start 4 2
kill -9 "$(cat pid.2)"
wait "$job" && fail "status 0 after a kill: $last"
says err "a rank is lost; step"
says err "go on with --resume"
expect 0 test -s state
expect 0 "${long[@]}" -o part.onnx
expect 0 cmp whole.onnx part.onnx
start 2 0 # the one that keeps the state: what it kept last is whole
kill -9 "$(cat pid.0)"
ended
expect 0 ranks 2 "${long[@]}" -o part.onnx
expect 0 cmp whole.onnx part.onnx

# --- told to stop: the state is kept, and the best so far. One rank is told, and all stop: mpirun itself would wait for
# two seconds before it tells them, in which a fast machine ends the training.
start 2 1
kill -TERM "$(cat pid.1)"
wait "$job" && fail "status 0 after a signal: $last"
says err "interrupted"
expect 0 test -s state
expect 0 "${long[@]}" -o part.onnx
expect 0 cmp whole.onnx part.onnx

[ "$failures" = 0 ] && echo "$checks checks passed" || echo "$failures of $checks checks failed"
[ "$failures" = 0 ]
