# Thin names for what is below. `make run` and `make test` are all the set-up there is.

.DEFAULT_GOAL := help
.PHONY: help run test unit it tools check models burst k6 load upstream tour docs audit rebuild faults soak strategies bench million down prerequisites services binaries

USERS ?= 10000
STOCK ?= 100
CAMPAIGN ?=
TOOL ?= k6
SCENARIO ?= limited
SEED ?= 1
TEST ?=
RUNS ?= 1
JOBS ?= 2
TIME ?= 30m
CONNECTIONS ?= 16000
FAIL_PERCENT ?= 20
FAIL_AFTER ?= 1s

TARGET = $${CARGO_TARGET_DIR:-target}
# What is measured is the product as it is shipped.
OF_DIST = ONRUSH_BINARY=$(TARGET)/dist/onrush

help: ## this list
	@grep -E '^[a-z0-9]+:.*##' Makefile | sed -E 's/:.*##/\t/' | expand -t 14

run: prerequisites services ## build, start everything, rush it once, and serve at http://127.0.0.1:8080 until Ctrl-C
	cargo build --release -p onrush -p loadtest -p upstream-dev
	dev/run

test: prerequisites services binaries models tools ## all tests, against the real stores
	@dev/skipped
	cargo test --workspace --all-targets --no-fail-fast
	@dev/skipped

unit: prerequisites ## the tests that need no service: seconds, once it is built
	cargo test --workspace --exclude models --lib --bins

it: prerequisites services binaries ## tests against the real stores alone: make it TEST=waiting::
	cargo test -p onrush --test it -- $(TEST)

# What some tests need beside the stores. Where it cannot be had, the test says so, and dev/skipped counts it.
tools: prerequisites
	dev/k6 --if-possible
	dev/chromium --if-possible
	dev/nginx --if-possible
	dev/examples --if-possible
	dev/schemathesis --if-possible

# Atomics: with some of its own, in a folder of its own, so that nothing else has to be built again. Orders of execution with up
# to three switches in unexpected places are explored, which is where such mistakes show.
# The protocol: every order of events within the bounds of each test, see docs/protocol.md.
models: prerequisites ## explore what is lock-free, and who may let Redis decide, in every order
	LOOM_MAX_PREEMPTIONS=3 RUSTFLAGS="--cfg onrush_loom" cargo test --release -p models --lib --target-dir target/loom
	cargo test --release -p models --lib -- --test-threads=2

check: prerequisites ## formatting, lints, house rules, licences, documentation
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo test --test tidy
	dev/deny
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

burst: ## another rush against what `make run` started: make burst USERS=20000 STOCK=500
	USERS=$(USERS) STOCK=$(STOCK) dev/burst

k6: ## build k6, which `make load` uses, from its Go module
	dev/k6

load: ## a load scenario against `make run`: make load TOOL=k6 SCENARIO=limited RATE=200 DURATION=5s, or TOOL=goose
	@if [ "$(TOOL)" = goose ]; then cargo build --release -p goose-load; fi
	TOOL=$(TOOL) SCENARIO=$(SCENARIO) dev/load

upstream: prerequisites ## the other teams' APIs alone, which misbehave: make upstream FAIL_PERCENT=20 FAIL_AFTER=1s
	cargo run --release --quiet -p upstream-dev -- --fail-percent $(FAIL_PERCENT) --fail-after $(FAIL_AFTER)

tour: prerequisites services ## go through the waiting room in a real browser: pictures in reports/waiting-room/
	dev/chromium
	cargo build -p onrush -p browser
	$(TARGET)/debug/tour

docs: ## write docs/metrics.md and docs/configuration.md anew, from the code and config/default.toml
	ONRUSH_WRITE_DOCS=1 cargo test -p onrush --lib page_of_metrics
	ONRUSH_WRITE_DOCS=1 cargo test -p onrush --test tidy page_of_settings

audit: ## compare Redis, Kafka and the database: make audit CAMPAIGN=WELCOME_001, or all
	target/release/onrush audit $(CAMPAIGN) --wait 30s

rebuild: ## bring back what Redis has lost: make rebuild CAMPAIGN=WELCOME_001, or all that is lost
	target/release/onrush rebuild $(or $(CAMPAIGN),--all)

faults: prerequisites services binaries ## hurt it in mid-rush and judge its promises: make faults SEED=1 RUNS=50 REPORT=reports/today
	cargo build --workspace
	cargo run --quiet -p faults --bin faults -- --seed $(SEED) --runs $(RUNS) --jobs $(JOBS) $(if $(REPORT),--report $(REPORT))

soak: prerequisites services binaries ## thousands of connections, some of them bad, for half an hour: make soak TIME=30m CONNECTIONS=16000
	cargo build --profile dist -p onrush
	cargo build --release -p faults
	$(OF_DIST) $(TARGET)/release/faults soak --time $(TIME) --connections $(CONNECTIONS) --seed $(SEED) $(if $(REPORT),--report $(REPORT))

strategies: USERS = 20000
strategies: STOCK = 10000
# The product is a part of this program: it is built as the product is.
strategies: prerequisites services binaries ## ways to sell a stock, side by side: make strategies USERS=20000 STOCK=10000
	cargo run --profile dist --quiet -p strategies -- all --users $(USERS) --stock $(STOCK)

bench: prerequisites services binaries ## measure what is promised of its speed, judge it, and write reports/<date>-<commit>/
	dev/k6 --if-possible
	cargo build --profile dist -p onrush -p strategies
	cargo build --release -p bench -p goose-load
	$(OF_DIST) $(TARGET)/release/bench

million: prerequisites services binaries ## a million users in one waiting room: what they are told, and what it costs
	cargo build --profile dist -p onrush
	cargo build --release -p million
	$(OF_DIST) $(TARGET)/release/million

down: ## stop the services
	dev/services down

prerequisites:
	@dev/prerequisites

services:
	@dev/services up

# The faults hurt services of their own.
binaries:
	@dev/services install
