# Commands for people and CI. `make` alone lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

BUF_VERSION := 1.75.0
BUF_FOLDER := target/tools/buf-$(BUF_VERSION)
BUF := $(BUF_FOLDER)/node_modules/.bin/buf

.PHONY: help build dist run demo prove test torture lint fmt bench deny picture proto-baseline clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

build: ## Build an optimized binary, target/release/parlance, without link-time optimization
	cargo build --release --locked --bin parlance

dist: ## Build the binary to deploy, target/dist/parlance, with link-time optimization
	cargo build --profile dist --locked --bin parlance

run: ## Start the service with a database in ./data and simulated providers; no message leaves this machine
	cargo run --locked --bin parlance -- serve

demo: ## Show cache misses, hits and their speed-up at a running service (PARLANCE_SERVER=http://host:port)
	cargo run --locked --bin parlance -- demo

prove: ## Count stale reads of two common cache protocols and ours while Redis and instances are killed, stopped and cut off (SEED=n)
	scripts/ensure-services.sh
	cargo build --locked --bin parlance
	cargo run --locked --package parlance-tests --bin prove -- $(if $(SEED),--seed $(SEED))

test: ## Run every test, with throw-away Postgres and Redis servers
	scripts/ensure-services.sh
	cargo build --locked --bin parlance
	scripts/test.sh

torture: ## Run the long tests for lost, duplicated and stale data (PARLANCE_TORTURE_SECONDS=n for each fault)
	scripts/ensure-services.sh
	PARLANCE_TORTURE=1 cargo test --release --locked --package parlance-cache --lib sim -- --nocapture
	cargo build --locked --bin parlance
	PARLANCE_TORTURE=1 cargo test --locked --package parlance-tests --test models --test coherence -- --nocapture

lint: $(BUF) ## Check format, clippy, rustdoc and the contract; changes nothing
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
	$(BUF) lint
	$(BUF) format --diff --exit-code
	$(BUF) breaking --against proto/baseline.binpb

fmt: $(BUF) ## Format Rust and the contract
	cargo fmt --all
	$(BUF) format --write

bench: ## Run the benchmarks (BENCH="--rows reads"; docs/performance.md)
	cargo run --profile dist --locked --package parlance-benches

deny: ## Check licences, advisories and duplicated dependencies
	@cargo deny --version >/dev/null 2>&1 || { echo "cargo-deny is missing: cargo install --locked cargo-deny" >&2; exit 1; }
	cargo deny check

picture: ## Take the screenshot of the page for the README, docs/images/page.png
	scripts/ensure-services.sh
	cargo build --locked --bin parlance
	mkdir -p docs/images
	PAGE_PICTURE=$(CURDIR)/docs/images/page.png cargo test --locked --package parlance-tests --test page picture

proto-baseline: $(BUF) ## Renew proto/baseline.binpb, which breaking changes are checked against
	scripts/proto-baseline.sh $(BUF)

clean: ## Remove all build results
	cargo clean

$(BUF): scripts/ensure-buf.sh
	scripts/ensure-buf.sh $(BUF_VERSION) $(BUF_FOLDER)
