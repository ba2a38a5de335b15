#!/bin/sh
# clang-tidy over the C++ sources (not the tests), several at a time: behind `make tidy`.
#   deploy/tidy.sh [FILE.cc ...]    default: every source of the product
# Takes the compile commands of build/release; a file that was clean, and has not changed since with
# its header, is not looked at again.
set -eu
cd "$(dirname "$0")/.."
[ -f build/release/compile_commands.json ] || cmake --preset release >/dev/null
# Generated headers must exist before their users can be read.
cmake --build build/release --target hone_proto >/dev/null
if [ $# -eq 0 ]; then
  set -- $(find base rpc db compiler tracker device_agent tuner cli -name '*.cc' | sort)
fi
stamps=build/tidy
mkdir -p "$stamps"
# g++'s flags that clang does not know are no concern of clang-tidy.
printf '%s\n' "$@" | xargs -P "${JOBS:-$(nproc)}" -I{} sh -c '
  stamp=$1/$(echo "$2" | tr / _).$( (cat .clang-tidy "$2"; cat "${2%.cc}.h" 2>/dev/null) | sha256sum | cut -c1-16)
  [ -f "$stamp" ] && exit 0
  clang-tidy-19 -p build/release --quiet --extra-arg=-Wno-unknown-warning-option "$2" \
    2>/dev/null && touch "$stamp"
' sh "$stamps" {}
echo "tidy: $# sources are clean"
