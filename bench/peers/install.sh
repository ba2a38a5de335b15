#!/bin/sh
# Brings the peers that benchmarks compare with into build/peers, each in a folder of its own: ONNX
# Runtime and TVM in Python environments, the former's library also where programs find it, oneDNN 3
# as a library with its headers. What no package registry gives is said and left out: the benchmarks
# then run without it. oneDNN 2 and OpenBLAS are packages of the system (deploy/install-deps.sh).
set -eu
cd "$(dirname "$0")/../.."
peers=build/peers
mkdir -p "$peers"
log=$(pwd)/$peers/install.log

# python_peer FOLDER IMPORTS PACKAGE...: an environment with the packages, unless it is there.
python_peer() {
  folder=$1 imports=$2
  shift 2
  if [ -x "$folder/bin/python" ] && "$folder/bin/python" -c "import $imports" 2>/dev/null; then
    return
  fi
  python3 -m venv "$folder" || {
    echo "peers: no python3-venv; run deploy/install-deps.sh"
    return
  }
  if ! "$folder/bin/pip" install --quiet --disable-pip-version-check --retries 1 --timeout 20 \
    --only-binary :all: "$@" >"$log" 2>&1; then
    echo "peers: no package registry gives $1 ($log); running without it"
    rm -rf "$folder"
    return
  fi
  echo "peers: $*"
}

python_peer "$peers" onnxruntime,numpy onnxruntime numpy
# Its library, for programs: under the names that linkers and loaders look for.
library=$(find "$peers/lib" -name 'libonnxruntime.so.*' 2>/dev/null | head -n 1)
if [ -n "$library" ]; then
  mkdir -p "$peers/onnxruntime"
  ln -sf "$(pwd)/$library" "$peers/onnxruntime/libonnxruntime.so"
  ln -sf "$(pwd)/$library" "$peers/onnxruntime/libonnxruntime.so.1"
fi

# Newer versions of the second crash under this version of the first.
python_peer "$peers/tvm" tvm,xgboost apache-tvm==0.27.0.post1 apache-tvm-ffi==0.1.14.post1 \
  xgboost psutil cloudpickle numpy

if [ ! -e "$peers/onednn3/lib/libdnnl.so" ]; then
  wheels=$(mktemp -d)
  if "$peers/bin/pip" download --quiet --disable-pip-version-check --retries 1 --timeout 20 \
    --no-deps --dest "$wheels" onednn-cpu-gomp==2023.2.0 onednn-devel-cpu-gomp==2023.2.0 \
    >"$log" 2>&1; then
    mkdir -p "$peers/onednn3"
    for wheel in "$wheels"/*.whl; do
      python3 -m zipfile -e "$wheel" "$wheels/unpacked"
    done
    cp -r "$wheels"/unpacked/*.data/data/include "$wheels"/unpacked/*.data/data/lib "$peers/onednn3"
    echo "peers: oneDNN 3.2"
  else
    echo "peers: no package registry gives oneDNN 3 ($log); running without it"
  fi
  rm -rf "$wheels"
fi
