# `make demo` runs the main job, `make test` passes all tests; both install what they need.

.PHONY: help demo setup dashboard build programs test test-rust test-contracts test-dashboard test-compose test-browser
.PHONY: smoke interop lint fmt sqlx openapi bench fuzz faults screenshots
.DEFAULT_GOAL := help

BUSBAR := target/debug/busbar
# nextest runs tests in parallel processes; the plain runner does where it is not installed.
CARGO_TEST := $(if $(shell command -v cargo-nextest),cargo nextest run,cargo test)
DATA ?= crates/devnet/data/simbench-lv-rural
ARGS ?=

help: ## Lists the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: setup build ## Runs a whole community until Ctrl-C (ARGS="--slot 10s --fresh" to change it)
	$(BUSBAR) demo --data $(DATA) $(ARGS)

setup:
	@.ci/setup demo

dashboard: setup ## Builds the dashboard into web/dashboard/dist

build: setup
	cargo build --bin busbar

programs: setup
	cargo build --workspace --bins

test: test-contracts test-dashboard test-rust test-compose test-browser ## Runs every test
	@echo 'all tests passed'

test-contracts: setup
	cd settlement/contracts && npm run --silent lint && npm test --silent && npm run --silent artifacts:check

test-dashboard: setup
	cd web/dashboard && npm run --silent check && npm test --silent

test-rust: programs
	$(BUSBAR) with-postgres -- $(CARGO_TEST) --workspace
	cargo test --workspace --doc --quiet

# The compose stack without an engine: schema, paths, variables, and the programs' own configuration check.
test-compose: programs
	@.ci/setup compose
	cd .ci/compose && npm test --silent

# Against a mock first, which can fail on purpose, then on a running community.
test-browser: build
	@.ci/setup test
	cd web/dashboard && npm run --silent test:browser:mock
	.ci/browser-test

smoke: build ## A few slots of the demonstration, checked
	$(BUSBAR) demo --data $(DATA) --state .busbar/smoke --fresh --slot 10s --slots 4 --json

interop: programs ## Foreign peers: an independent Modbus server and signature verifier, Mosquitto
	@.ci/setup interop
	.ci/interop

lint: ## Format, lints, licences and sources of dependencies, documentation
	@.ci/setup lint
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	.busbar/tools/deny/bin/cargo-deny check bans licenses sources
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --quiet

fmt: ## Formats the code
	cargo fmt --all

sqlx: build ## Renews .sqlx, the record of checked queries, from the migrations
	$(BUSBAR) with-postgres --migrate -- .ci/sqlx

openapi: build ## Renews web/openapi.json
	cargo run --quiet --bin web -- openapi > web/openapi.json.new && mv web/openapi.json.new web/openapi.json

bench: build ## Prints figures as JSON lines
	.ci/bench

fuzz: setup ## Ten million random commands for the book, checked against a slower one
	cargo run --quiet -p market --example fuzz_book -- 10000000

faults: programs ## Settlement killed at every point, 20 times each with random faults (some twenty minutes)
	BUSBAR_KILLS=20 BUSBAR_FAULT_SEEDS=20 $(BUSBAR) with-postgres -- \
		$(CARGO_TEST) -p settlement --test killed --test matrix --test set_back_killed

screenshots: build ## Pictures of the dashboard, 1280 and 360 px, light and dark
	@.ci/setup test
	.ci/browser-test screenshots
