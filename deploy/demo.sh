#!/bin/sh
# The main job on this machine, start to end: behind `make demo`, which has built the programs.
#   deploy/demo.sh [MINUTES]     minutes of tuning; 4 when not said
# Works in build/demo, with a database of its own, which begins empty.
set -eu
cd "$(dirname "$0")/.."
minutes=${1:-${MINUTES:-4}}
bin=$PWD/build/release/bin
PATH=$bin:$PATH
rm -rf build/demo
mkdir -p build/demo
cd build/demo
export HONE_DB=$PWD/records.db

say() { printf '\n$ %s\n' "$*"; "$@"; }

say hone doctor || true  # its warnings are worth reading; none stops the demo
say hone zoo resnet18 -o resnet18.onnx
say hone compile resnet18.onnx -o before.so  # nothing is tuned yet: default schedules
say hone tune resnet18.onnx --minutes "$minutes"
say hone compile resnet18.onnx -o resnet18.so
say hone check resnet18.so --against resnet18.onnx
say hone bench before.so
say hone bench resnet18.so
