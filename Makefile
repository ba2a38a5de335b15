# The front door. Every target installs what is missing (Debian packages) and builds what it needs.
#   make build | demo | check | check-more | fuzz | bench | bench-kernels | bench-search | tidy
#   make fuzz-decoders | sim | chaos | soak | bench-farm | format | help
RELEASE := build/release
JOBS ?= $(shell nproc)
# What the sanitizers go over in `make check-more`: the folders of tests/ that cover compiler and db.
SANITIZED := base ir graph operators import schedule lower codegen package db conformance
# Tests of what runs in several threads, which `make check-more` runs under ThreadSanitizer.
THREADED := agent_test blob_store_test blobs_over_grpc_test credentials_test farm_over_grpc_test \
  local_farm_test measure_test measuring_worker_test process_test random_cancels_test rpc_test runtime_thread_pool_test \
  tracker_health_test tuning_daemon_test web_server_test worker_test

# `make fuzz`: for how long, and from what; another seed every day.
SECONDS ?= 3600
SEED ?= $(shell date +%Y%m%d)

# `make fuzz-decoders`: how often each; FUZZERS names some of them, by default all.
RUNS ?= 10000000
FUZZERS ?=

# `make sim`.
SEEDS ?= 100000
AGENTS ?= 50

# `make chaos`: so many processes killed. `make soak`: for so long.
KILLS ?= 1000
MINUTES ?= 60

.PHONY: help build demo check check-more fuzz fuzz-decoders bench bench-kernels bench-search bench-farm sim \
  chaos soak farm-chaos tidy format deps
.DEFAULT_GOAL := help

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /  make \1\t/' | expand -t 24

deps:  ## install the packages that building takes (does nothing when they are there)
	@deploy/install-deps.sh

build: deps  ## the programs, into build/release/bin
	@mkdir -p build
	@cmake --preset release >build/configure.log 2>&1 || { cat build/configure.log; exit 1; }
	@cmake --build $(RELEASE) -j $(JOBS) --target hone_programs
	@echo "built: $$(ls $(RELEASE)/bin | tr '\n' ' ')in $(RELEASE)/bin; next: $(RELEASE)/bin/hone --help"

demo: build  ## tune, compile and check a ResNet-18 on this machine, and show what it gained
	@deploy/demo.sh

check: deps  ## build everything, run the unit and golden tests (at most 15 minutes from nothing)
	@deploy/check.sh fast

check-more: deps  ## slower tests: sanitizers, real models, conformance, two minutes of fuzz
	@deploy/install-deps.sh --web --net --slurm --postgres
	@SANITIZED="$(SANITIZED)" THREADED="$(THREADED)" deploy/check.sh more

fuzz: deps  ## random kernels against the oracle under sanitizers, for SECONDS (an hour), from SEED
	@mkdir -p build
	@cmake --preset dev >build/configure.log 2>&1 || { cat build/configure.log; exit 1; }
	@cmake --build build/dev -j $(JOBS) --target schedule_fuzz
	@LSAN_OPTIONS=suppressions=tests/lsan.supp UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
	  build/dev/tests/schedule_fuzz --seconds $(SECONDS) --seed $(SEED) --case-file build/fuzz.case

fuzz-decoders: deps  ## every fuzzer of decoders and sessions, RUNS executions each (10,000,000)
	@mkdir -p build
	@cmake --preset fuzz >build/configure.log 2>&1 || { cat build/configure.log; exit 1; }
	@cmake --build build/fuzz -j $(JOBS) --target fuzzers
	@deploy/fuzz.sh $(RUNS) $(FUZZERS)

bench: deps  ## every benchmark, with its aims in one table at the end
	@bench/run

bench-kernels: deps  ## kernels held against oneDNN and OpenBLAS, and one thread against two
	@bench/run kernel

bench-search: deps  ## how few trials, and how little time, the search needs; TVM beside it
	@bench/run search tuning

bench-farm: deps  ## what a farm costs: 10,000 agents, a million waiting batches, restarts, distance
	@bench/run farm

sim: deps  ## storms in the farm's simulator: SEEDS of them (100,000), AGENTS a farm (50)
	@mkdir -p build
	@cmake --preset release >build/configure.log 2>&1 || { cat build/configure.log; exit 1; }
	@cmake --build $(RELEASE) -j $(JOBS) --target farm_storm_test
	@SEEDS=$(SEEDS) AGENTS=$(AGENTS) $(RELEASE)/tests/farm_storm_test

chaos: deps farm-chaos  ## real programs killed KILLS times (1,000), by SEED; links cut and a disk filled as root
	@$(FARM_CHAOS) --seed $(SEED) --kills $(KILLS)

soak: deps farm-chaos  ## a farm at work for MINUTES (60): memory, descriptors and threads must not grow
	@$(FARM_CHAOS) --seed $(SEED) --soak $(MINUTES)

FARM_CHAOS = HONE_BIN_DIR=$(RELEASE)/bin HONE_TEST_KERNELS_DIR=$(RELEASE)/tests/kernels \
  $(RELEASE)/tests/farm_chaos
farm-chaos:
	@deploy/install-deps.sh --net
	@mkdir -p build
	@cmake --preset release >build/configure.log 2>&1 || { cat build/configure.log; exit 1; }
	@cmake --build $(RELEASE) -j $(JOBS) --target farm_chaos

tidy: deps  ## clang-tidy over the sources
	@deploy/tidy.sh

format: deps  ## clang-format over the sources
	@git ls-files -co --exclude-standard '*.h' '*.cc' '*.c' | xargs clang-format-19 -i
