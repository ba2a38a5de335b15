#!/usr/bin/env python3
"""How few trials, and how little time, the search needs on the problems of kernels/search.txt.

SEEDS (5) sessions from nothing, and one of LONG_TRIALS (256) a kernel, from nothing too: the best that
any of these found is what is to be reached. Says the median over seeds of the trials
until a session is within 10 and 5 % of it, for the median kernel and the worst. Then the kernels of a
ResNet-50, as often as it calls them: how long tuning them from nothing takes, and how far the result
is from the best of RUNS (4) runs, the last of which may make LONG_TRIALS a kernel. Then trials a
second on one problem, ours and those of TVM's MetaSchedule where peers/install.sh could bring it.
Run by bench/run."""

import os
import pathlib
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile

from aim import print_aim

TOP = pathlib.Path(__file__).resolve().parent.parent
BENCH = TOP / "build/release/bench/compare_kernels"
TVM = TOP / "build/peers/tvm/bin/python"
SEEDS = int(os.environ.get("SEEDS", "5"))
LONG_TRIALS = int(os.environ.get("LONG_TRIALS", "256"))
TVM_TRIALS = int(os.environ.get("TVM_TRIALS", "64"))
RUNS = int(os.environ.get("RUNS", "4"))
TUNED = re.compile(r"^tuned: (\d+) trials in ([\d.]+) s, .* take ([\d.]+) ms$", re.MULTILINE)


def tune(database, seed, trials, problems="search"):
    """Returns (trials, seconds, milliseconds that all kernels take)."""
    done = subprocess.run([BENCH, "--only", "tune", "--db", database, "--seed", str(seed),
                           "--trials", str(trials), problems],
                          capture_output=True, text=True, check=False,
                          env=dict(os.environ, HONE_SOURCE_DIR=str(TOP)))
    if done.returncode != 0:
        sys.exit(f"compare_kernels: {done.stderr}{done.stdout}")
    match = TUNED.search(done.stdout)
    return int(match[1]), float(match[2]), float(match[3])


def curves(database):
    """Workload -> costs in the order they were measured, failures as infinity; duels left out."""
    found = {}
    with sqlite3.connect(database) as connection:
        rows = connection.execute(
            "SELECT w.text, r.failure, r.cost_ns FROM record r JOIN workload w "
            "ON w.id = r.workload_id WHERE r.finalist = 0 ORDER BY r.id")
        for workload, failure, cost_ns in rows:
            found.setdefault(workload, []).append(cost_ns if failure == 0 else float("inf"))
    return found


def caption(workload):
    shapes = re.findall(r"^(?:input|constant) \S+ f32 \[([\d,]+)\]", workload, re.MULTILINE)
    return " * ".join(shape.replace(",", "x") for shape in shapes)


def trials_to(costs, best_ns, share):
    """Trials until the first within `share` of the best; one more than there were, if none was."""
    for trial, cost_ns in enumerate(costs, 1):
        if cost_ns * share <= best_ns:
            return trial
    return len(costs) + 1


def search(folder):
    sessions = []
    for seed in range(1, SEEDS + 1):
        database = folder / f"seed{seed}.db"
        trials, seconds, _ = tune(database, seed, 64)
        print(f"seed {seed}: {trials} trials in {seconds:.1f} s", flush=True)
        sessions.append(curves(database))
    long = folder / "long.db"
    trials, seconds, _ = tune(long, SEEDS + 1, LONG_TRIALS)
    print(f"long session: {trials} trials in {seconds:.1f} s")
    everyone = sessions + [curves(long)]
    print(f"\n{'trials to within, medians of ' + str(SEEDS) + ' seeds':<46} {'10 %':>6} {'5 %':>6} "
          f"{'2 %':>6} {'best us':>9}")
    medians = {0.90: [], 0.95: [], 0.98: []}
    for workload in sessions[0]:
        best_ns = min(min(s[workload]) for s in everyone if workload in s)
        row = []
        for share, of_share in medians.items():
            trials = statistics.median(trials_to(s[workload], best_ns, share) for s in sessions)
            of_share.append(trials)
            row.append(trials)
        print(f"{caption(workload):<46} {row[0]:>6g} {row[1]:>6g} {row[2]:>6g} "
              f"{best_ns / 1e3:>9.1f}")
    print_aim("trials_to_90_percent_median", statistics.median(medians[0.90]), 8, True)
    print_aim("trials_to_95_percent_median", statistics.median(medians[0.95]), 24, True)
    print_aim("trials_to_95_percent_worst", max(medians[0.95]), 24, True)


def whole_model(folder):
    print("\nResNet-50's kernels, from nothing")
    runs = []
    for run in range(1, RUNS + 1):
        trials = LONG_TRIALS if run == RUNS else 64
        runs.append(tune(folder / f"resnet50_{run}.db", run, trials, "resnet50"))
        print(f"run {run}: {runs[-1][0]} trials in {runs[-1][1]:.1f} s: {runs[-1][2]:.2f} ms",
              flush=True)
    print_aim("resnet50_tuned_in_seconds", max(run[1] for run in runs[:-1]), 120, True)
    best_ms = min(run[2] for run in runs)
    worst_ms = max(run[2] for run in runs[:-1])
    print_aim("resnet50_percent_of_best_run", 100 * worst_ms / best_ms, 103, True)


def beside_tvm(folder):
    trials, seconds, _ = tune(folder / "matmul.db", 1, TVM_TRIALS, "search_tvm")
    ours = trials / seconds
    print(f"\n512x512x512, one thread: ours {trials} trials in {seconds:.1f} s, {ours:.1f} trials/s")
    if not TVM.exists():
        print("TVM: left out, it is not installed")
        return
    theirs = subprocess.run([TVM, TOP / "bench/peers/tvm_tune.py", str(TVM_TRIALS)],
                            capture_output=True, text=True, check=False)
    match = re.search(r"^tuned (\d+) trials in ([\d.]+) s, best ([\d.]+) us$", theirs.stdout,
                      re.MULTILINE)
    if match is None:
        print(f"TVM: left out, it failed: {theirs.stderr.strip().splitlines()[-1:]}")
        return
    rate = int(match[1]) / float(match[2])
    best_ns = min(min(costs) for costs in curves(folder / "matmul.db").values())
    print(f"TVM MetaSchedule: {match[1]} trials in {match[2]} s, {rate:.2f} trials/s, best "
          f"{match[3]} us; ours {best_ns / 1e3:.1f} us")
    print_aim("trial_rate_over_tvm", ours / rate, 20, False)
    print_aim("percent_of_tvm_time", 100 * best_ns / 1e3 / float(match[3]), 100, True)


def main():
    with tempfile.TemporaryDirectory(prefix="hone-search-bench-") as name:
        folder = pathlib.Path(name)
        search(folder)
        whole_model(folder)
        beside_tvm(folder)


if __name__ == "__main__":
    main()
