#!/bin/sh
# Checks the manifests against the schema of the Kubernetes API: brings the PyPI package that holds it
# into build/kubernetes and runs validate.py. Exits with 77 when there is no package and no network.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv="$here/../../build/kubernetes"
if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -c "import kubernetes_validate" 2>/dev/null; then
  python3 -m venv "$venv"
  if ! "$venv/bin/pip" install --quiet --disable-pip-version-check --timeout 20 --retries 1 \
    kubernetes-validate==1.37.0 >"$venv/install.log" 2>&1; then
    echo "kubernetes-validate cannot be had: $(tail -n 1 "$venv/install.log")" >&2
    exit 77
  fi
fi
exec "$venv/bin/python" "$here/validate.py"
