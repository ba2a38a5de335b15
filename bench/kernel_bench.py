#!/usr/bin/env python3
"""The kernels of kernels/*.txt in each class of numerics, and with two threads, held against peers:
runs compare_kernels once for each, with records of its own (build/bench/kernels.db), all made anew
unless KEEP=1. TRIALS (64) a kernel. Run by bench/run."""

import os
import pathlib
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = TOP / "build/release/bench/compare_kernels"
TRIALS = os.environ.get("TRIALS", "64")
SERIES = [
    ("strict", 1, ["gemm", "resnet50"]),
    ("fp32", 1, ["gemm", "resnet50", "mobilenet_depthwise", "mobilenet_pointwise", "bert"]),
    ("fast", 1, ["gemm", "resnet50"]),
    ("bf16", 1, ["bf16_gemm", "bf16_resnet50"]),
    ("int8", 1, ["int8_gemm", "int8_resnet50"]),
    ("fp32", 2, ["gemm", "resnet50", "bert"]),
]


def has_matrix_unit():
    return "amx_bf16" in pathlib.Path("/proc/cpuinfo").read_text(encoding="ascii").split()


def main():
    database = TOP / "build/bench/kernels.db"
    if os.environ.get("KEEP") != "1":
        for path in database.parent.glob("kernels.db*"):
            path.unlink()
    for numerics, threads, lists in SERIES:
        if threads > os.cpu_count():
            print(f"{threads} threads: left out, there are {os.cpu_count()} cores")
            continue
        if numerics == "bf16" and not has_matrix_unit():
            print("bf16: left out, the machine has no matrix unit")
            continue
        print(f"\n-- numerics {numerics}, {threads} thread{'s' if threads > 1 else ''}", flush=True)
        ended = subprocess.run([PROGRAM, "--numerics", numerics, "--threads", str(threads),
                                "--trials", TRIALS, "--minutes", "5", "--db", database, *lists],
                               check=False)
        if ended.returncode != 0:
            sys.exit(ended.returncode)


if __name__ == "__main__":
    main()
