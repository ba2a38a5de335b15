#!/bin/sh
# Installs what building, testing and running hone takes: packages of Debian 12, nothing else.
# Safe to run again; does nothing, and needs no root, when everything is there.
#   deploy/install-deps.sh [--bench] [--web] [--postgres] [--net] [--slurm] [--check]
#     --bench: also the libraries that benchmarks compare with
#     --web: also a browser, for the tests of the farm's page
#     --postgres: also a PostgreSQL server, for the tests of several trackers on one database
#     --net: also ip, with which tests of the farm cut links
#     --slurm: also Slurm, for the tests of what runs on clusters
#     --check: only say what is missing (exit 1 if anything is)
set -eu

packages="
build-essential cmake ninja-build ccache pkg-config git ca-certificates
clang-19 clang-format-19 clang-tidy-19 libclang-rt-19-dev
llvm-19-dev liblld-19-dev zlib1g-dev libzstd-dev
libgrpc++-dev protobuf-compiler-grpc protobuf-compiler libprotobuf-dev libabsl-dev libssl-dev
libonnx-dev libxgboost-dev libsqlite3-dev libpq-dev libboost-dev libseccomp-dev libstb-dev
libjemalloc-dev libspdlog-dev nlohmann-json3-dev libcli11-dev
libgtest-dev libgmock-dev
python3 python3-venv
"
check=no
for option in "$@"; do
  case $option in
  --bench) packages="$packages libdnnl-dev libopenblas-dev" ;;
  --web) packages="$packages chromium" ;;
  --postgres) packages="$packages postgresql" ;;
  --net) packages="$packages iproute2" ;;
  --slurm) packages="$packages munge slurm-wlm" ;;
  --check) check=yes ;;
  *)
    echo "install-deps: no option $option; there are --bench, --web, --postgres, --net, --slurm and --check" >&2
    exit 2
    ;;
  esac
done

missing=""
for package in $packages; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing="$missing $package"
done

if [ -z "$missing" ]; then exit 0; fi
if [ "$check" = yes ]; then
  echo "missing packages:$missing"
  exit 1
fi

as_root=""
if [ "$(id -u)" -ne 0 ]; then
  if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root="sudo"
  elif command -v sudo >/dev/null 2>&1 && [ -t 0 ]; then
    as_root="sudo"  # asks for the password
  else
    echo "install-deps: cannot install without root. As root, run:" >&2
    echo "  apt-get install --no-install-recommends$missing" >&2
    exit 1
  fi
fi
if ! command -v apt-get >/dev/null 2>&1; then
  echo "install-deps: no apt-get here: hone is built on Debian 12; install by hand:$missing" >&2
  exit 1
fi

# Waits for another apt that runs now, rather than failing beside it.
apt() {
  $as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 "$@"
}

echo "install-deps: installing$missing"
# A fresh machine has no lists, and an old one stale lists; either shows as a failed install.
# shellcheck disable=SC2086
apt install -y -q --no-install-recommends $missing >/dev/null 2>&1 || {
  apt update -q
  # shellcheck disable=SC2086
  apt install -y -q --no-install-recommends $missing
}
echo "install-deps: done"
