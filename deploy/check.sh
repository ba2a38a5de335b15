#!/bin/sh
# Builds and runs the tests: behind `make check` and `make check-more`, and .ci/run.
#   deploy/check.sh fast | more | summary
# Each run of ctest leaves its log in build/check/, and each test program its results as XML beside
# its preset's build; `summary` prints ctest's closing lines of all of them and counts skips.
# A skip on a machine that has what the test needs is a failure.
set -eu
cd "$(dirname "$0")/.."
logs=build/check
jobs=${JOBS:-$(nproc)}
shared=${HONE_SHARED_DIR:-../shared}
mkdir -p "$logs"

# run_ctest NAME PRESET ARGS...: ctest's output to the terminal and to a log; its status returned.
run_ctest() {
  name=$1 preset=$2
  shift 2
  rm -rf "build/$preset/results"
  mkdir -p "build/$preset/results"
  status=0
  {
    ctest --test-dir "build/$preset" -j "$jobs" --output-on-failure --no-tests=ignore "$@" 2>&1 ||
      echo "$?" >"$logs/$name.failed"
  } | tee "$logs/$name.log"
  # gtest says which of its cases were skipped and why: "file:line&#x0A;reason".
  grep -h '<skipped message=' "build/$preset"/results/*.xml 2>/dev/null |
    sed -E 's/.*message="([^"]*)".*/\1/; s/&#x0A;/ /g' >"$logs/$name.skips" || true
  skipped=$(wc -l <"$logs/$name.skips")
  echo "$skipped skipped"
  if [ "$skipped" -gt 0 ]; then sort "$logs/$name.skips" | uniq -c; fi
  if [ -d "$shared" ] && grep -qi 'shared' "$logs/$name.skips"; then
    echo "check: a test skipped for lack of the shared material, which is there: $shared" >&2
    status=1
  fi
  if [ -f "$logs/$name.failed" ]; then status=1; fi
  return "$status"
}

build() {  # build PRESET [--target ...]
  preset=$1
  shift
  cmake --preset "$preset" >"$logs/configure-$preset.log" 2>&1 || {
    cat "$logs/configure-$preset.log"
    exit 1
  }
  cmake --build "build/$preset" -j "$jobs" "$@"
}

case "${1:-}" in
  fast)
    rm -f "$logs"/fast.*
    build release
    run_ctest fast release -LE slow
    ;;
  more)
    rm -f "$logs"/slow.* "$logs"/sanitized.* "$logs"/fuzz.* "$logs"/threads.*
    failed=0
    build release
    run_ctest slow release -L slow || failed=1
    targets="" labels=""
    for folder in $SANITIZED; do
      targets="$targets tests-$folder"
      labels="$labels|$folder"
    done
    # shellcheck disable=SC2086
    build dev --target $targets tests-fuzz
    run_ctest sanitized dev -L "^(${labels#|})\$" -LE slow || failed=1
    run_ctest fuzz dev -L fuzz || failed=1
    # shellcheck disable=SC2086
    build tsan --target $THREADED
    tests=$(echo "$THREADED" | sed 's/ \+/|/g')
    run_ctest threads tsan -R "^($tests)\$" || failed=1
    exit "$failed"
    ;;
  summary)
    total=0 failed=0
    for log in "$logs"/*.log; do
      name=$(basename "$log" .log)
      [ -f "$logs/$name.skips" ] || continue
      echo "== $name"
      sed -n '/tests passed,/,$p' "$log"
      total=$((total + $(wc -l <"$logs/$name.skips")))
      [ ! -f "$logs/$name.failed" ] || failed=1
    done
    echo "$total skipped"
    exit "$failed"
    ;;
  *)
    echo "usage: deploy/check.sh fast | more | summary" >&2
    exit 2
    ;;
esac
