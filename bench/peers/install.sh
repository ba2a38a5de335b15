#!/bin/sh
# Brings the peers that benchmarks compare with into build/peers: ONNX Runtime, in a Python
# environment of its own. Where no package registry is reachable it says so and succeeds: the
# benchmarks then run without peers.
set -eu
cd "$(dirname "$0")/../.."
peers=build/peers
if [ -x "$peers/bin/python" ] &&
  "$peers/bin/python" -c 'import onnxruntime, numpy' 2>/dev/null; then
  exit 0
fi
rm -rf "$peers"
python3 -m venv "$peers" || {
  echo "peers: no python3-venv; run deploy/install-deps.sh"
  exit 0
}
if ! "$peers/bin/pip" install --quiet --disable-pip-version-check --retries 1 --timeout 20 \
  --only-binary :all: onnxruntime numpy >"$peers/install.log" 2>&1; then
  echo "peers: no package registry reachable ($peers/install.log); running without ONNX Runtime"
  exit 0
fi
"$peers/bin/python" -c 'import onnxruntime; print("peers: ONNX Runtime", onnxruntime.__version__)'
