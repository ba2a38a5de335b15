"""TVM's MetaSchedule on a product of 512x512 matrices, for one thread of this machine.

    tvm_tune.py TRIALS      prints: tuned N trials in S s, best T us"""

import sys
import tempfile
import time

import tvm
from tvm import te
from tvm.s_tir import meta_schedule

SIZE = 512


def product():
    a = te.placeholder((SIZE, SIZE), name="a")
    b = te.placeholder((SIZE, SIZE), name="b")
    k = te.reduce_axis((0, SIZE), name="k")
    c = te.compute((SIZE, SIZE), lambda i, j: te.sum(a[i, k] * b[k, j], axis=k), name="c")
    return tvm.IRModule({"main": te.create_prim_func([a, b, c])})


def main():
    target = tvm.target.Target(
        {"kind": "llvm", "mcpu": tvm.get_global_func("target.llvm_get_system_cpu")(),
         "num-cores": 1})
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        database = meta_schedule.tune_tir(mod=product(), target=target, work_dir=folder,
                                          max_trials_global=int(sys.argv[1]),
                                          num_trials_per_iter=16)
        seconds = time.monotonic() - begin
        records = [r for r in database.get_all_tuning_records() if r.run_secs]
        best = min(min(float(s) for s in r.run_secs) for r in records)
    print(f"tuned {len(records)} trials in {seconds:.1f} s, best {best * 1e6:.1f} us")


if __name__ == "__main__":
    main()
