#!/usr/bin/env python3
"""Whole models, tuned by hone, beside ONNX Runtime: one process, one thread each, on one core, in
turns. Prints the least and the median time of both, their ratio, and an aim a model. Times are of the
processor: what else runs on the machine may slow both down, but does not count as their work.

Tuning takes MINUTES (2) a model; its records stay in build/bench/models.db, so that a second run
only measures. FULL=1 begins with an empty database. Run by bench/run with the peers' Python."""

import os
import pathlib
import statistics
import subprocess
import sys
import time

from aim import print_aim

TOP = pathlib.Path(__file__).resolve().parent.parent
BIN = TOP / "build/release/bin"
WORK = TOP / "build/bench"
SHARED = pathlib.Path(os.environ.get("HONE_SHARED_DIR", TOP.parent / "shared"))

# Name of the aim, where the model comes from ("zoo:" is written by `hone zoo`), open dimensions.
MODELS = [
    ("super_resolution", SHARED / "models/onnx/super_resolution_10.onnx", ["batch_size=1"]),
    ("resnet18", "zoo:resnet18", []),
    ("squeezenet", "zoo:squeezenet", []),
]
ROUNDS = 40          # each: a block of runs of the one, then of the other
BLOCK_SECONDS = 0.15
TARGET = 1.0         # ONNX Runtime's time / hone's time


def hone(*arguments):
    """Runs a hone command; its output stays visible, its failure is ours."""
    subprocess.run([str(BIN / "hone"), *map(str, arguments)], check=True)


def prepare(name, source, shapes, database, minutes):
    """Makes the model file if need be, tunes it and compiles it. Returns (onnx path, so path)."""
    path = pathlib.Path(source) if not str(source).startswith("zoo:") else WORK / f"{name}.onnx"
    if str(source).startswith("zoo:"):
        hone("zoo", source.removeprefix("zoo:"), "-o", path)
    shape_options = [word for shape in shapes for word in ("--shape", shape)]
    tuned = WORK / f"{name}.tuned"
    if not tuned.exists():
        hone("tune", path, "--db", database, "--threads", 1, "--minutes", minutes, *shape_options)
        tuned.touch()
    compiled = WORK / f"{name}.so"
    hone("compile", path, "-o", compiled, "--db", database, "--threads", 1, *shape_options)
    return path, compiled


def timed_block(run):
    """Runs for BLOCK_SECONDS after one warm-up; the times of the runs in seconds."""
    run()
    times = []
    end = time.perf_counter() + BLOCK_SECONDS
    while len(times) < 3 or time.perf_counter() < end:
        begin = time.process_time()
        run()
        times.append(time.process_time() - begin)
    return times


def compare(name, onnx_path, compiled):
    import numpy as np
    import onnxruntime

    from constant_weights import with_constant_weights
    from hone_runtime import Model

    library = next(iter(sorted((TOP / "build/release").glob("lib/libhone_runtime.so"))), None)
    if library is None:
        raise RuntimeError("no libhone_runtime.so under build/release/lib")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(
        with_constant_weights(pathlib.Path(onnx_path).read_bytes()), options,
        providers=["CPUExecutionProvider"])
    model = Model(str(library), str(compiled), threads=1)
    random = np.random.default_rng(1)
    feeds = {}
    for i, tensor in enumerate(model.inputs):
        array = random.standard_normal(tensor.shape).astype(tensor.dtype)
        model.set_input(i, array)
        feeds[tensor.name] = array

    expected = session.run([tensor.name for tensor in model.outputs], feeds)
    model.run()
    for i, want in enumerate(expected):
        got = model.output(i)
        error = float(np.max(np.abs(got - want)) / (np.max(np.abs(want)) + 1e-30))
        if not error < 1e-3:
            print(f"{name}: output {model.outputs[i].name} differs from ONNX Runtime by {error:.2g}")
            print_aim(f"model_{name}_vs_onnxruntime", 0, TARGET)
            return

    peer, ours = [], []
    for _ in range(ROUNDS):
        peer += timed_block(lambda: session.run(None, feeds))
        ours += timed_block(model.run)
    ratio = min(peer) / min(ours)
    print(f"{name}: onnxruntime {onnxruntime.__version__} min {1e3 * min(peer):.2f} ms median "
          f"{1e3 * statistics.median(peer):.2f} ms; hone min {1e3 * min(ours):.2f} ms median "
          f"{1e3 * statistics.median(ours):.2f} ms; ratio of minima {ratio:.2f}, of medians "
          f"{statistics.median(peer) / statistics.median(ours):.2f}")
    print_aim(f"model_{name}_vs_onnxruntime", ratio, TARGET)


def main():
    WORK.mkdir(parents=True, exist_ok=True)
    database = WORK / "models.db"
    if os.environ.get("FULL") == "1":
        for stale in [*WORK.glob("models.db*"), *WORK.glob("*.tuned")]:
            stale.unlink()
    for name, source, shapes in MODELS:
        if not str(source).startswith("zoo:") and not pathlib.Path(source).exists():
            print(f"{name}: skipped, no {source}")
            continue
        try:
            paths = prepare(name, source, shapes, database, os.environ.get("MINUTES", "2"))
        except subprocess.CalledProcessError as error:
            print(f"{name}: {' '.join(error.cmd)} ended with {error.returncode}")
            continue
        # A child of its own, on one core: tuning above uses all of them.
        core = str(max(os.sched_getaffinity(0)))
        sys.stdout.flush()
        subprocess.run(["taskset", "-c", core, sys.executable, __file__, name, *map(str, paths)],
                       check=False)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        compare(*sys.argv[1:])
    else:
        main()
