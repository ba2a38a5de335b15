#!/bin/sh
# Runs the fuzzers that build/fuzz has, one after another: behind `make fuzz-decoders`.
#   deploy/fuzz.sh RUNS [NAME ...]
# Each begins with tests/fuzz/corpus/NAME and keeps what it finds new in build/fuzz/fuzzers/NAME.new;
# its log is build/fuzz/fuzzers/NAME.log. The last line of each says how many executions, how much of
# the code was reached, and what it took. An input that breaks something is left as
# build/fuzz/fuzzers/NAME.found-*, and the exit code is 1. SIGUSR1 ends a fuzzer well before its RUNS.
#   MERGE=1: afterwards puts a few small inputs that reach as much of the code into the corpus.
#   FUZZ_OPTIONS: more of libFuzzer's, as -timeout=3600 where others may stop the processes.
set -eu
cd "$(dirname "$0")/.."
runs=$1
shift
folder=build/fuzz/fuzzers
[ "$#" -gt 0 ] || set -- $(cd "$folder" && ls *.options | sed 's/\.options$//')
failed=0
# What an allocation is called by is noted when one found input is tried again.
export ASAN_OPTIONS=malloc_context_size=1:quarantine_size_mb=32
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
# Fuzzers of files write one an input: in memory, where that is to be had.
[ ! -d /dev/shm ] || export TMPDIR=/dev/shm
TMPDIR=$(mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
for name in "$@"; do
  options="$(cat "$folder/$name.options") ${FUZZ_OPTIONS:-}"
  mkdir -p "$folder/$name.new" "tests/fuzz/corpus/$name"
  if (
    code=0
    # shellcheck disable=SC2086
    "$folder/$name" $options -runs="$runs" -print_final_stats=1 \
      -artifact_prefix="$folder/$name.found-" "$folder/$name.new" "tests/fuzz/corpus/$name" \
      >"$folder/$name.log" 2>&1 || code=1
    times >"$folder/$name.times"
    exit "$code"
  ); then
    result=ok
  else
    result=FAILED
    failed=1
  fi
  done=$(sed -n 's/^stat::number_of_executed_units: *//p' "$folder/$name.log")
  slowest=$(sed -n 's/^stat::slowest_unit_time_sec: *//p' "$folder/$name.log")
  memory=$(sed -n 's/^stat::peak_rss_mb: *//p' "$folder/$name.log")
  reached=$(grep -o 'cov: [0-9]*' "$folder/$name.log" | tail -n 1 | cut -c6-)
  # The second line is of the fuzzer: user and system time as 1m2.5s.
  took=$(awk 'NR == 2 { split($1, u, /[ms]/); split($2, s, /[ms]/)
    printf "%.0f", 60 * (u[1] + s[1]) + u[2] + s[2] }' "$folder/$name.times")
  echo "$name: $result, ${done:-0} executions, ${reached:-0} edges, slowest ${slowest:-?} s," \
    "${memory:-?} MiB, $took s of processor time"
  if [ "${MERGE:-0}" = 1 ] && [ "$result" = ok ]; then
    # shellcheck disable=SC2086
    "$folder/$name" $options -use_counters=0 -set_cover_merge=1 \
      "tests/fuzz/corpus/$name" "$folder/$name.new" >>"$folder/$name.log" 2>&1
  fi
done
exit "$failed"
