#!/usr/bin/env python3
"""How many candidates a second one machine tunes: deriving, compiling, measuring and learning, with
an empty database, on the zoo's ResNet-18 for MINUTES (1). The processor time a candidate says what it
costs where other work shares the machine. Run by bench/run."""

import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile

from aim import print_aim

TOP = pathlib.Path(__file__).resolve().parent.parent
HONE = TOP / "build/release/bin/hone"
TARGET = 50.0
# The last line of progress when it is no terminal: "488/1152 trials, 15.2/s, ..., took 1:02".
TRIALS = re.compile(r"^(\d+)/\d+ trials, .*?took (?:(\d+):)?(\d+):(\d+)$", re.MULTILINE)


def main():
    minutes = os.environ.get("MINUTES", "1")
    with tempfile.TemporaryDirectory(prefix="hone-tuning-bench-") as folder:
        model = pathlib.Path(folder) / "resnet18.onnx"
        subprocess.run([HONE, "zoo", "resnet18", "-o", model], check=True,
                       stdout=subprocess.DEVNULL)
        tuned = subprocess.run([HONE, "tune", model, "--db", pathlib.Path(folder) / "records.db",
                                "--threads", "1", "--minutes", minutes],
                               capture_output=True, text=True, check=False)
    print(tuned.stderr, tuned.stdout, sep="", end="")
    if tuned.returncode != 0:
        sys.exit(f"hone tune ended with {tuned.returncode}")
    last = TRIALS.search(tuned.stderr)
    if last is None:
        sys.exit("hone tune did not say how many trials it made")
    trials, hours, mins, seconds = (int(part or 0) for part in last.groups())
    elapsed_s = 3600 * hours + 60 * mins + seconds
    rate = trials / max(1, elapsed_s)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_ms = 1e3 * (used.ru_utime + used.ru_stime) / max(1, trials)
    print(f"{trials} trials in {elapsed_s} s, the duels of the best included: {rate:.1f} trials/s, "
          f"{cpu_ms:.0f} ms of processor time each")
    print_aim("tuning_trials_per_second", rate, TARGET)


if __name__ == "__main__":
    main()
