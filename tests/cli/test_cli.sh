#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The command from outside: exit statuses, what goes to stdout and to stderr, files that are whole or untouched.
# usage: test_cli.sh CLEAVE CLI_FIXTURE
set -u
cleave=$1 fixture=$2
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
"$fixture" "$work" || exit 1
export CLEAVE_NUM_THREADS=2
# shellcheck source=tests/cli/check.sh
. "$here/check.sh"

# --- use
expect 2 "$cleave"
says err usage
silent out
expect 0 "$cleave" --help
says out "exit status"
expect 0 "$cleave" version
says out "cleave 0."
expect 0 "$cleave" --version
expect 2 "$cleave" compres
says err 'did you mean "compress"'
expect 2 "$cleave" help nonsense
for verb in inspect compress heal train frontier stats eval run diff synth new bench plan; do
    expect 0 "$cleave" "$verb" --help
    says out "usage: cleave $verb"
    says out "examples:"
    silent err
    expect 0 "$cleave" help "$verb"
    expect 2 "$cleave" "$verb" --no-such-option
    says err "unknown option"
    silent out
    if [ "$verb" != synth ]; then
        expect 2 "$cleave" "$verb"
        says err "usage: cleave $verb"
    fi
done
expect 2 "$cleave" eval net.onnx --dat images.bin
says err "did you mean --data"
expect 2 "$cleave" eval net.onnx --data
says err "needs a value"
expect 2 "$cleave" eval net.onnx --data images.bin --batch many
says err "whole number"
expect 2 "$cleave" eval net.onnx --data images.bin --quiet=1
expect 2 "$cleave" eval net.onnx other.onnx --data images.bin
says err "one word too many"
expect 2 "$cleave" inspect net.onnx --isa sse9
says err sse9
expect 2 "$cleave" inspect net.onnx --threads 100000

# --- inspect
expect 0 "$cleave" inspect net.onnx --json inspect.json
says out "convolutions_that_can_be_split: 3"
says out "not depthwise"
says out "1x8x32x32"
expect 0 "$fixture" json inspect.json
expect 0 grep -q '"layer": "c1"' inspect.json
expect 0 "$cleave" inspect --input-shape input=4,3,32,32 net.onnx
expect 2 "$cleave" inspect net.onnx --input-shape input=1,4,32,32
says err "declared as"
expect 2 "$cleave" inspect net.onnx --input-shape nobody=1,3,32,32
says err nobody
expect 2 "$cleave" inspect net.onnx --input-shape input=1,x
expect 0 "$cleave" inspect unknown.onnx
says out Invent
for file in cut noise; do
    expect 3 "$cleave" inspect $file.onnx
    says err "$file.onnx"
    silent out
done
expect 3 "$cleave" inspect empty.onnx
expect 1 "$cleave" inspect missing.onnx
says err missing.onnx
expect 1 "$cleave" inspect .

# --- eval
expect 0 "$cleave" eval colour.onnx --data images.bin --preprocess cifar10 --json eval.json
says out "top1:"
expect 0 "$fixture" json eval.json
expect 0 grep -q '"top1": 100' eval.json
expect 0 "$cleave" eval colour.onnx --data images.bin --preprocess cifar10 --channel-order bgr
says err "the channel order looks wrong"
expect 5 "$cleave" eval colour.onnx --data images.bin --preprocess cifar10 --channel-order bgr --min-top1 90
says err "at least 90.00 %"
expect 0 "$cleave" eval net.onnx --against other.onnx --data images.bin --preprocess cifar10 -q
says out same_class
silent err
expect 2 "$cleave" eval net.onnx --data images.bin
says err cifar10
expect 2 "$cleave" eval net.onnx --data images.bin --mean 0.5
says err --scale
expect 2 "$cleave" eval net.onnx --data images.bin --preprocess nonsense
for wrong in --mean=1,2 --mean=a --std=0 --scale=0 --scale=1/0 --channel-order=gbr --resize=-1 --resize=3x --crop=0x3 \
    --letterbox=3x3 --resize=99999999999; do
    expect 2 "$cleave" eval net.onnx --data images.bin --preprocess cifar10 "$wrong"
done
expect 0 "$cleave" eval net.onnx --data images.bin --preprocess cifar10 --letterbox 40 --crop 32 --crop-floor
expect 1 "$cleave" eval net.onnx --data missing --preprocess cifar10
says err missing
expect 3 "$cleave" eval unknown.onnx --data images.bin --preprocess cifar10 --no-check
says err Invent
expect 1 "$cleave" eval net.onnx --data images.bin --preprocess imagenet

mkdir pictures-bad
printf 'this is no picture' >pictures-bad/broken.png
expect 1 "$cleave" eval net.onnx --data pictures-bad --preprocess cifar10
says err broken.png

# --- run
expect 0 "$cleave" run two.onnx --input left=left.npy --input right=right.npy --out-dir results --json run.json
says out "out/sum"
expect 0 "$fixture" json run.json
expect 0 "$fixture" float results/out_sum.npy 0 11
expect 0 "$fixture" float results/out_sum-2.npy 5 42
expect 2 "$cleave" run two.onnx --input left=left.npy
says err right
expect 2 "$cleave" run two.onnx --input left.npy
says err '"left", "right"'
expect 2 "$cleave" run two.onnx --input left=left.npy --input left=left.npy
expect 2 "$cleave" run net.onnx --input left.npy
says err "dimensions"
expect 1 "$cleave" run net.onnx --input missing.npy
expect 0 "$cleave" run two.onnx --input left=left.npy --input right=right.npy --fetch out/sum
expect 2 "$cleave" run two.onnx --input left=left.npy --input right=right.npy --fetch nobody
expect 0 "$cleave" run colour.onnx --images images.bin --preprocess cifar10 --limit 3 --out-dir pictures
says out "classes"
checks=$((checks + 1))
[ "$(find pictures -name '*.scores.npy' | wc -l)" -eq 3 ] || fail "3 files for 3 images"

# --- compress
compress=("$cleave" compress net.onnx --calibration images.bin --preprocess cifar10 --samples 2048 --multiplier 2)
expect 0 "${compress[@]}" -o small.onnx --eval images.bin --json compress.json
says out "MACs"
says out "fewer"
expect 0 "$fixture" json compress.json
expect 0 "$cleave" inspect small.onnx
says out cleave.preprocess
expect 0 "$cleave" eval small.onnx --data images.bin
cp small.onnx kept.onnx
expect 0 "${compress[@]}" -o small.onnx --threads 1
expect 0 cmp small.onnx kept.onnx
# --- heal
heal=("$cleave" heal small.onnx --teacher net.onnx --images images.bin --batch 8 --held-out 16)
expect 0 "${heal[@]}" --steps 6 -o healed.onnx --eval images.bin --json heal.json --log heal.jsonl --plot heal.svg
says out "loss_after"
says out "agreement_after"
expect 0 "$fixture" json heal.json
expect 0 "$cleave" eval healed.onnx --data images.bin
expect 0 "${heal[@]}" --steps 6 --threads 1 -o again.onnx
expect 0 cmp healed.onnx again.onnx
expect 0 "${heal[@]}" --time 1s -o healed.onnx
expect 2 "${heal[@]}" --time soon -o healed.onnx
says err "3m"
expect 2 "${heal[@]}" --time 1s -o net.onnx
says err "a file of its own"
expect 2 "$cleave" heal small.onnx --images images.bin -o healed.onnx
says err "--teacher"
expect 1 "${heal[@]}" --steps 6 --batch 96 -o none.onnx
no_file none.onnx

# --- compress, heal, time and report in one run; the same bytes as in two, with a file that other engines read
expect 0 "${compress[@]}" -o both.onnx --heal-steps 6 --eval images.bin --bench --report both.md --json both.json --heal-plot both.svg
says out "healed"
says out "same class as the original"
says out "ms, 1 image, 1 thread, cleave"
expect 0 "$fixture" json both.json
expect 0 grep -q '"times_faster"' both.json
expect 0 grep -q '^| top-1 | .* % | .* % | .* % |' both.md
expect 0 grep -q -- '--heal-steps 6 --eval images.bin' both.md
expect 0 grep -q "</svg>" both.svg
expect 0 "$cleave" heal small.onnx --teacher net.onnx --images images.bin --steps 6 -o two.steps.onnx
expect 0 "$cleave" diff both.onnx two.steps.onnx --images images.bin
expect 0 "${compress[@]}" -o both.onnx --heal 1s --heal-images images.bin
says out "held out"
expect 2 "${compress[@]}" -o none.onnx --heal soon
says err "3m"
expect 5 "${compress[@]}" -o none.onnx --heal-steps 2 --eval images.bin --min-top1 99.9 --bench
no_file none.onnx

# --- train
train=("$cleave" train --arch resnet8 --width 0.5 --data images.bin --batch 16 --epochs 2 --held-out 16)
expect 0 "${train[@]}" -o trained.onnx --eval images.bin --json train.json --log train.jsonl --plot train.svg
says out "held_out_top1"
says out "eval"
expect 0 "$fixture" json train.json
expect 0 grep -q '"held_out_top1"' train.jsonl
expect 0 grep -q "</svg>" train.svg
expect 0 "$cleave" eval trained.onnx --data images.bin
expect 0 "${train[@]}" -o again.onnx --threads 1
expect 0 cmp trained.onnx again.onnx
expect 0 "$cleave" train trained.onnx --data images.bin --batch 16 --epochs 1 --rate 0.01 --optimiser adamw -o further.onnx
expect 2 "$cleave" train trained.onnx --data images.bin -o trained.onnx
says err "a file of its own"
expect 2 "$cleave" train trained.onnx --arch resnet8 --data images.bin -o x.onnx
expect 2 "$cleave" train --data images.bin -o x.onnx
says err "--arch"
expect 2 "$cleave" train --arch resnet9 --data images.bin -o x.onnx
says err "resnet20"
expect 2 "${train[@]}" -o x.onnx --optimiser lion
expect 2 "${train[@]}" -o x.onnx --shift far
expect 1 "${train[@]}" -o x.onnx --rate 900 --decay 9 --epochs 40
says err "step "
expect 1 "$cleave" train --arch resnet8 --data pictures-bad -o x.onnx
no_file x.onnx
"${train[@]}" --epochs 4000 -o stopped.onnx --checkpoint stopped.state >out 2>err &
pid=$!
for _ in $(seq 100); do
    [ -e stopped.state ] && break
    sleep 0.1
done
kill -INT $pid
wait $pid
status=$?
checks=$((checks + 1))
[ $status -eq 130 ] || fail "status $status after an interrupt of training"
says err "holds the best so far"
expect 0 "$cleave" eval stopped.onnx --data images.bin

expect 2 "${compress[@]}" -o net.onnx
says err "the input itself"
expect 5 "${compress[@]}" -o floor.onnx --eval images.bin --min-top1 99.9
no_file floor.onnx
expect 4 "${compress[@]}" -o budget.onnx --budget macs=1%
says err "nearest point"
no_file budget.onnx
expect 0 "${compress[@]}" -o budget.onnx --budget params=80%
expect 2 "${compress[@]}" -o x.onnx --budget weight=3
says err "macs=, params=, bytes= or latency="
expect 2 "${compress[@]}" -o x.onnx --form nonsense
no_file x.onnx
expect 2 "${compress[@]}" -o x.onnx --keep nobody
expect 1 "${compress[@]}" -o no/such/folder/x.onnx
expect 1 "${compress[@]}" -o /dev/full

# --- diff
expect 0 "$cleave" diff net.onnx net.onnx --images images.bin --preprocess cifar10 --json diff.json
says out "first_departure:    none"
expect 0 "$fixture" json diff.json
expect 5 "$cleave" diff net.onnx other.onnx --images images.bin --preprocess cifar10
says err '"c1"'
says out "relative_error"
expect 5 "$cleave" diff net.onnx small.onnx --images images.bin --tolerance 1e-6
expect 0 "$cleave" diff net.onnx small.onnx --images images.bin --tolerance 1e6
expect 0 "$cleave" diff two.onnx two.onnx --input left=left.npy --input right=right.npy
expect 2 "$cleave" diff net.onnx two.onnx --images images.bin --preprocess cifar10

# --- plan
expect 0 "$cleave" plan net.onnx --json plan.json
says out "block of activations"
says out "live_bytes"
expect 0 "$fixture" json plan.json
expect 2 "$cleave" plan
expect 2 "$cleave" plan net.onnx --input-shape nobody=1,3,8,8
expect 1 "$cleave" plan missing.onnx

# --- synth
expect 0 "$cleave" synth --out 6 --in 5 --kernel 3 --max-multiplier 2 --samples 512 -o synth.svg --json synth.json
says out correlated
expect 0 "$fixture" json synth.json
expect 0 grep -q "</svg>" synth.svg
expect 2 "$cleave" synth --data pink
expect 2 "$cleave" synth --out 0

# --- new
expect 0 "$cleave" new --list --json list.json
says out mobilenet_v2
expect 0 "$fixture" json list.json
expect 0 "$cleave" new resnet20 -o fresh.onnx --classes 4 --width 0.5 --seed 3
says out parameters
expect 0 "$cleave" new resnet20 -o again.onnx --classes 4 --width 0.5 --seed 3
expect 0 cmp fresh.onnx again.onnx
expect 0 "$cleave" eval fresh.onnx --data images.bin
expect 0 "$cleave" new resnet20 -o ten.onnx --width 0.5
expect 0 "$cleave" eval ten.onnx --data "builtin:shapes?n=30&seed=2"
expect 1 "$cleave" eval ten.onnx --data "builtin:faces"
says err "builtin:shapes"
expect 2 "$cleave" new resnet20
says err "-o FILE.onnx is missing"
expect 2 "$cleave" new resnet21 -o none.onnx
says err "there are: resnet8"
expect 2 "$cleave" new resnet18 -o none.onnx --width 2
no_file none.onnx
expect 1 "$cleave" new resnet20 -o no/such/folder/x.onnx

# --- bench
expect 0 "$cleave" bench net.onnx --runs 5 --seconds 0 --threads 1 --json bench.json
says out p99_ms
says out fma_gflops
expect 0 "$fixture" json bench.json
expect 0 "$cleave" bench net.onnx --runs 5 --seconds 0 --batch 2 --per-layer --trace trace.json
says out over_floor
expect 0 "$fixture" json trace.json
expect 0 "$cleave" bench two.onnx --runs 1 --seconds 0
expect 2 "$cleave" bench net.onnx --runs 0
expect 2 "$cleave" bench net.onnx --input-shape 1,4,32,32
expect 2 "$cleave" bench net.onnx --against onnxruntime --per-layer
expect 1 "$cleave" bench net.onnx --against onnxruntime --python no-such-python
says err "no-such-python"
expect 1 env CLEAVE_SHARE=no/such/folder "$cleave" bench net.onnx --against onnxruntime
says err "CLEAVE_SHARE"
expect 3 "$cleave" bench unknown.onnx

# --- a full disk
expect 1 bash -c '"$1" inspect net.onnx >/dev/full' - "$cleave"
says err "standard output"
expect 1 "$cleave" inspect net.onnx --json /dev/full
printf old >old.json
checks=$((checks + 1))
(
    ulimit -f 1
    trap '' XFSZ
    exec "$cleave" inspect net.onnx --json old.json >/dev/null 2>err
)
[ $? -eq 1 ] || fail "a file that may not grow"
checks=$((checks + 1))
[ "$(cat old.json)" = old ] || fail "the old file is gone"
checks=$((checks + 1))
[ -z "$(find . -name '*.tmp.*')" ] || fail "a temporary file is left: $(find . -name '*.tmp.*')"

# --- interrupted
interrupt() { # SIGNAL STATUS command...
    local signal=$1 wanted=$2 status pid
    shift 2
    checks=$((checks + 1))
    last="$*"
    "$@" >out 2>err &
    pid=$!
    sleep 0.4
    kill -"$signal" "$pid"
    wait "$pid"
    status=$?
    [ "$status" -eq "$wanted" ] || fail "status $status instead of $wanted after $signal: $last"
}
interrupt INT 130 "$cleave" synth --out 256 --in 256 --kernel 5
interrupt TERM 130 "$cleave" synth --out 256 --in 256 --kernel 5

# --- killed in the middle of writing: the file is the old one or the new one, whole
mkdir -p kill
expect 0 "$cleave" run large.onnx --input large.npy --out-dir kill
size=$(stat -c %s kill/output.npy)
for wait in 0.01 0.02 0.03 0.04 0.05 0.06 0.08 0.1 0.12 0.15 0.2; do
    checks=$((checks + 1))
    "$cleave" run large.onnx --input large.npy --out-dir kill >out 2>err &
    pid=$!
    sleep $wait
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    [ "$(stat -c %s kill/output.npy)" -eq "$size" ] || fail "a torn file after kill -9"
    "$fixture" float kill/output.npy $((8 * 1024 * 1024 - 1)) 607 || fail "the end of the file is wrong after kill -9"
done

printf '%d checks, %d failures\n' "$checks" "$failures"
[ "$failures" -eq 0 ]
