#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Long jobs from outside: statistics in files and shards, recipes, plans, sweeps, and runs that are killed and go on.
# usage: test_jobs.sh CLEAVE
set -u
cleave=$(realpath "$1")
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
export CLEAVE_NUM_THREADS=2
# shellcheck source=tests/cli/check.sh
. "$here/check.sh"

no_search() {
    checks=$((checks + 1))
    grep -Eq '^ *search: *0\.0$' out || fail "there was a search: $last"
}

images="builtin:shapes?n=48&seed=1"
expect 0 "$cleave" new resnet20 -o net.onnx --width 0.25 --size 16 --seed 1
expect 0 "$cleave" new resnet20 -o other.onnx --width 0.25 --size 16 --seed 2
compress=("$cleave" compress net.onnx --calibration "$images" --preprocess cifar10 --resize 16 --samples 512)
budget=("${compress[@]}" --budget macs=50%)

# --- the same bytes on one thread and two; a recipe beside the output, no journal left
expect 0 "${budget[@]}" -o whole.onnx
expect 0 test -s whole.onnx.recipe.json
no_file whole.onnx.journal
expect 0 "${budget[@]}" -o one.onnx --threads 1
expect 0 cmp whole.onnx one.onnx

# --- a recipe is replayed to the same bytes, without a search
expect 0 "${compress[@]}" -o again.onnx --recipe whole.onnx.recipe.json
no_search
expect 0 cmp whole.onnx again.onnx
expect 2 "$cleave" compress other.onnx --calibration "$images" --preprocess cifar10 --resize 16 -o x.onnx --recipe whole.onnx.recipe.json
says err "belongs to another model"
printf '{"cleave_recipe": 1,\n "layers": [ }' >broken.json
expect 3 "${compress[@]}" -o x.onnx --recipe broken.json
says err "line 2"
printf '{"cleave_recipe": 9, "layers": []}' >broken.json
expect 3 "${compress[@]}" -o x.onnx --recipe broken.json
says err "version 1"
no_file x.onnx

# --- statistics in a file: written once, used again, by other budgets, without images
expect 0 "${budget[@]}" -o first.onnx --stats net.clvstats
expect 0 cmp whole.onnx first.onnx
expect 0 "${budget[@]}" -o second.onnx --stats net.clvstats
no_search
expect 0 cmp whole.onnx second.onnx
expect 0 "$cleave" compress net.onnx --stats net.clvstats --budget macs=60% -o sums.onnx --preprocess cifar10 --resize 16
expect 0 "$cleave" stats show net.clvstats
says out "samples"
expect 2 "$cleave" compress other.onnx --stats net.clvstats --budget macs=60% -o x.onnx
says err "belong to another model"
expect 2 "$cleave" compress net.onnx --budget macs=60% -o x.onnx
says err "--calibration"
size=$(stat -c %s net.clvstats)
for byte in 3 100 $((size / 2)) $((size - 5)); do
    cp net.clvstats bent.clvstats
    printf '\x5a' | dd of=bent.clvstats bs=1 seek=$byte conv=notrunc 2>/dev/null
    cmp -s net.clvstats bent.clvstats && printf '\xa5' | dd of=bent.clvstats bs=1 seek="$byte" conv=notrunc 2>/dev/null
    checks=$((checks + 1))
    "$cleave" stats show bent.clvstats >out 2>err && fail "a bent byte $byte went unseen"
done
head -c $((size / 2)) net.clvstats >cut.clvstats
expect 3 "$cleave" stats show cut.clvstats
says err "cut off"
expect 3 "$cleave" stats show net.onnx
says err "is not a CLVSTATS file"

# --- shards add up
stats=("$cleave" stats net.onnx --calibration "$images" --preprocess cifar10 --resize 16 --samples 512)
expect 0 "${stats[@]}" -o part1.clvstats --shard 1/3
expect 0 "${stats[@]}" -o part2.clvstats --shard 2/3
expect 0 "${stats[@]}" -o part3.clvstats --shard 3/3
expect 0 "$cleave" stats merge part1.clvstats part2.clvstats part3.clvstats -o merged.clvstats
says out "512"
expect 0 "${compress[@]}" --budget macs=50% -o merged.onnx --stats merged.clvstats
expect 2 "$cleave" stats merge part1.clvstats part1.clvstats -o x.clvstats
says err "in another of the files, too"
expect 0 "$cleave" stats other.onnx --calibration "$images" --preprocess cifar10 --resize 16 --samples 512 -o other.clvstats
expect 2 "$cleave" stats merge part1.clvstats other.clvstats -o x.clvstats
says err "different models"
for wrong in 0/3 4/3 1 a/b 1/3x; do
    expect 2 "${stats[@]}" -o x.clvstats --shard $wrong
done
expect 2 "$cleave" stats merge -o x.clvstats
expect 2 "$cleave" stats show
no_file x.clvstats

# --- a plan alone
expect 0 "${budget[@]}" --dry-run
says out "predicted"
says out "fewer"
expect 0 "${budget[@]}" --dry-run -o x.onnx
no_file x.onnx
no_file x.onnx.recipe.json

# --- a sweep
expect 0 "$cleave" frontier net.onnx --calibration "$images" --preprocess cifar10 --resize 16 --samples 512 \
    --budgets macs=60%,40%,1% --eval "builtin:shapes?n=50&seed=2" -o frontier.svg --json frontier.json
says out "cannot be reached"
expect 0 grep -q "</svg>" frontier.svg
expect 0 grep -q '"budget": "macs=40%"' frontier.json
expect 2 "$cleave" frontier net.onnx --calibration "$images" --preprocess cifar10 --resize 16 --budgets 60%
checks=$((checks + 1))
[ -z "$(find . "${TMPDIR:-/tmp}" -maxdepth 1 -name "cleave-*.clvstats" -newer whole.onnx 2>/dev/null)" ] ||
    fail "a temporary file of statistics is left"

# --- the budget that a drop allows
expect 0 "${compress[@]}" -o drop.onnx --max-drop 60 --eval "builtin:shapes?n=50&seed=2" --json drop.json
says out "macs=50%"
no_file drop.onnx.max-drop.clvstats
expect 0 test -s drop.onnx
expect 0 grep -q '"frontier"' drop.json
expect 2 "${compress[@]}" -o x.onnx --max-drop 1
expect 2 "${compress[@]}" -o x.onnx --max-drop 1 --budget macs=50% --eval "builtin:shapes?n=50&seed=2"

# --- budgets of time: what is asked for here does not depend on how fast this machine is
export XDG_CACHE_HOME=$work/cache
expect 4 "${compress[@]}" -o x.onnx --budget latency=0.001us --threads 1
says err "nearest point"
says err "with 1 thread"
no_file x.onnx
expect 0 test -s cache/cleave/times.clvtimes
printf 'damaged' >cache/cleave/times.clvtimes
expect 0 "${compress[@]}" --budget latency=100s --dry-run --threads 1 --json fast.json
says err "measured again"
says out "before_ms"
says out "faster"
expect 0 grep -q '"planned_ms"' fast.json
expect 0 "$cleave" frontier net.onnx --calibration "$images" --preprocess cifar10 --resize 16 --samples 512 \
    --budgets latency=100s,0.001us --threads 1 --eval "builtin:shapes?n=50&seed=2" --json frontier.json
says out "latency_ms"
says out "cannot be reached"
expect 2 "${compress[@]}" -o x.onnx --budget latency=12
says err "12ms"

# --- little memory: activations go to a file, the result stays
expect 0 "${compress[@]}" -o roomy.onnx --form bottleneck
expect 0 "${compress[@]}" -o tight.onnx --form bottleneck --max-memory 64
expect 0 cmp roomy.onnx tight.onnx
expect 2 "${compress[@]}" -o x.onnx --form bottleneck --max-memory 1
says err "64 MiB"

# --- killed at any moment, resumed to the same bytes
RANDOM=7
for i in 1 2 3 4 5 6 7 8 9 10; do
    checks=$((checks + 1))
    "${budget[@]}" -o resumed.onnx --resume >out 2>err &
    pid=$!
    sleep "0.$((RANDOM % 8 + 1))"
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    [ -e resumed.onnx ] && break
done
expect 0 "${budget[@]}" -o resumed.onnx --resume
expect 0 cmp whole.onnx resumed.onnx
no_file resumed.onnx.journal
"${budget[@]}" -o half.onnx >out 2>err &
pid=$!
sleep 0.5
kill -INT $pid
wait $pid
status=$?
checks=$((checks + 1))
[ $status -eq 130 ] || [ -e half.onnx ] || fail "status $status after an interrupt"
if [ -e half.onnx.journal ]; then
    expect 2 "${budget[@]}" -o half.onnx --resume --seed 5
    says err "belongs to another run"
fi

printf '%d checks, %d failures\n' "$checks" "$failures"
[ "$failures" -eq 0 ]
