#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""performance.py CLEAVE PYTHON [--prefix COMMAND] [--only NAME,...] [--keep FOLDER]: measure every network below against the other
engines that PYTHON has, with one thread and with all, and write docs/performance.md.

Networks: those of `cleave new` that rivals are known for, and the trained models of ../shared/data where they are. What was measured
is kept in FOLDER (build/performance) and not measured again, so the work can be done in pieces and the page be made from them;
remove the folder to begin anew. COMMAND stands before the measurements of each network, e.g. something that waits for a quiet machine."""
import argparse
import datetime
import json
import math
import os
import pathlib
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MADE = ["mobilenet_v1", "mobilenet_v2", "shufflenet_v2", "mnasnet", "efficientnet_b0", "squeezenet1.1", "resnet18", "resnet50",
        "vgg16_features", "resnet20", "resnet56"]
SEPARABLE = MADE[:5]
TRAINED = ["resnet20", "resnet56", "squeezenet1.1", "mobilenet_v1_0.25_224", "ultraface_version-slim-320_simplified",
           "dicenet_s_0.2_pascal_256x256", "nanodet_m_320"]
RIVALS = ["onnxruntime", "openvino", "ncnn", "mnn"]


def measure(args, name, model, folder):
    """One network: the comparison, and the floor for each number of threads. {} when it cannot be."""
    found = folder / f"{name}.json"
    if found.exists():
        return json.loads(found.read_text())
    threads = sorted({1, len(os.sched_getaffinity(0))})
    parts = [["--against", ",".join(RIVALS), "--python", args.python]]
    parts += [["--per-layer", "--threads", str(t), "--runs", "20", "--seconds", "0.3"] for t in threads]
    scratch = [folder / f"scratch{i}.json" for i in range(len(parts))]
    commands = [shlex.join([args.cleave, "bench", str(model), "--json", str(to), "--quiet", *words]) for to, words in zip(scratch, parts)]
    done = subprocess.run([*shlex.split(args.prefix), "sh", "-c", " && ".join(commands)], stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True)
    if done.returncode:
        print(f"{name}: {done.stderr.strip()}", file=sys.stderr)
        return {}
    result, *alone = [json.loads(path.read_text()) for path in scratch]
    result["floor_ms"] = {str(t): sum(row["floor_ms"] for row in one["layers"]) for t, one in zip(threads, alone)}
    result["when"] = datetime.date.today().isoformat()
    found.write_text(json.dumps(result, indent=1))
    return result


def cell(row):
    if row is None or row.get("p50_ms") is None:
        return "–"
    text = f"{row['p50_ms']:.3g}"
    if row["engine"] == "cleave":
        return text
    text += f" ({row['times_cleave']:.2f}: {row['least']:.2f}–{row['most']:.2f})"
    return text if row["counted"] else f"*{text}*"


def peaks(results, threads):
    """The FMA peak as measured with each network, ascending. Shares are of the median: one run's may have been disturbed."""
    return sorted(next(m["fma_gflops"] for m in r["machine"] if m["threads"] == threads) for r in results.values())


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else float("nan")


def table(results, threads, out):
    """The Markdown table for one number of threads."""
    engines = [r for r in RIVALS if any(row["engine"] == r and row["threads"] == threads and row.get("p50_ms") for result in results.values()
                                        for row in result["against"])]
    print(f"\n## {threads} thread{'s' if threads > 1 else ''}\n", file=out)
    print("| network | MMACs | floor | cleave | % of peak | " + " | ".join(engines) + " | fastest other / cleave |", file=out)
    print("| --- " + "| ---: " * (5 + len(engines)) + "|", file=out)
    best, peak = {}, peaks(results, threads)[len(results) // 2]
    for name, result in results.items():
        rows = {row["engine"]: row for row in result["against"] if row["threads"] == threads}
        macs, own = result["model"]["macs"], rows["cleave"]
        share = 100 * 2e-6 * macs / own["p50_ms"] / peak
        counted = [rows[e]["times_cleave"] for e in engines if rows.get(e, {}).get("counted")]
        best[name] = min(counted) if counted else None
        print(f"| {name} | {macs / 1e6:.0f} | {result['floor_ms'][str(threads)]:.3g} | {cell(own)} | {share:.0f} | "
              + " | ".join(cell(rows.get(e)) for e in engines)
              + f" | {'–' if best[name] is None else format(best[name], '.2f')} |", file=out)
    separable = [best[n] for n in SEPARABLE if best.get(n)]
    if separable:
        print(f"\nGeometric mean of *fastest other / cleave* over {', '.join(n for n in SEPARABLE if best.get(n))}: "
              f"{geometric_mean(separable):.2f}.", file=out)


def versions(results):
    found = {}
    for result in results.values():
        for row in result["against"]:
            if row.get("version") and row["engine"] != "cleave":
                found[row["engine"]] = row["version"]
    return ", ".join(f"{name} {version}" for name, version in found.items())


def write(results, path):
    machine = next(iter(results.values()))["machine"]
    days = sorted({result["when"] for result in results.values()})
    with open(path, "w") as out:
        print("# Performance\n\nMade by `bench/performance.py`; do not edit. How to read and repeat it: [bench.md](bench.md).\n", file=out)
        print(f"{machine[0]['cpu']}, {machine[0]['isa']}; {days[0] + (' to ' + days[-1] if len(days) > 1 else '')}; batch 1, float32.", file=out)
        for m in machine:
            values = peaks(results, m["threads"])
            print(f"FMA peak, {m['threads']} thread{'s' if m['threads'] > 1 else ''}: median {values[len(values) // 2]:.0f} GFLOP/s "
                  f"({values[0]:.0f} to {values[-1]:.0f} over the networks).", file=out)
        print(f"Others: {versions(results)}.\n", file=out)
        print("Milliseconds are medians of all runs. In brackets: how many times longer than cleave in the same round, as median, least and "
              "most over\nthe rounds (above 1: cleave is faster). In italics: outputs differ by more than 1e-4 of the largest, not counted. "
              "The floor is the sum over\nthe steps of the longer of multiply-adds at the FMA peak and compulsory bytes at the copy bandwidth. "
              "Multiply-adds count direct\nconvolution, so Winograd can pass 100 %.", file=out)
        for m in machine:
            table(results, m["threads"], out)
        notes = {f"* {row['engine']}, {name}: {row['note']}" for name, result in results.items() for row in result["against"] if row.get("note")}
        if notes:
            print("\nNot compared:\n\n" + "\n".join(sorted(notes)), file=out)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cleave")
    parser.add_argument("python")
    parser.add_argument("--prefix", default="")
    parser.add_argument("--only", default="")
    parser.add_argument("--keep", default=str(ROOT / "build" / "performance"))
    parser.add_argument("--page", default=str(ROOT / "docs" / "performance.md"))
    args = parser.parse_args()
    folder = pathlib.Path(args.keep)
    folder.mkdir(parents=True, exist_ok=True)
    results = {}
    for name in MADE + [f"{t} (trained)" for t in TRAINED]:
        if args.only and name not in args.only.split(","):
            continue
        model = folder / f"{name}.onnx"
        if name in MADE:
            if not model.exists() and not (folder / f"{name}.json").exists():
                subprocess.run([args.cleave, "new", name, "-o", str(model), "--quiet"], check=True, stdout=subprocess.DEVNULL)
        else:
            model = ROOT.parent / "shared" / "data" / "models" / f"{name.split(' ')[0]}.onnx"
            if not model.exists():
                continue
        result = measure(args, name, model, folder)
        if result:
            results[name] = result
            print(f"{name}: done", file=sys.stderr)
    if not results:
        sys.exit("nothing was measured")
    write(results, args.page)


main()
