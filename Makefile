# Every command that a person or CI runs. `make` alone prints them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

BUF_VERSION := 1.75.0
BUF_FOLDER := target/tools/buf-$(BUF_VERSION)
BUF := $(BUF_FOLDER)/node_modules/.bin/buf

.PHONY: help build run demo prove test torture lint fmt bench deny picture proto-baseline clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

build: ## build the release binary, target/release/parlance
	cargo build --release --locked --bin parlance

run: ## start the service: a database in ./data, simulated providers, nothing leaves this machine
	cargo run --locked --bin parlance -- serve

demo: ## show the cache of a running service at work: misses, hits and how much faster they are (PARLANCE_SERVER=http://host:port)
	cargo run --locked --bin parlance -- demo

prove: ## count stale reads under two common cache protocols and ours, while Redis and instances are killed, stopped and cut off (SEED=n)
	scripts/ensure-services.sh
	cargo build --locked --bin parlance
	cargo run --locked --package parlance-tests --bin prove -- $(if $(SEED),--seed $(SEED))

test: ## run every test, with throw-away Postgres and Redis servers
	scripts/ensure-services.sh
	cargo build --locked --bin parlance
	scripts/test.sh

torture: ## run the tests that look for lost, doubled and stale data for as long as it takes (PARLANCE_TORTURE_SECONDS=n for each fault)
	scripts/ensure-services.sh
	PARLANCE_TORTURE=1 cargo test --release --locked --package parlance-cache --lib sim -- --nocapture
	cargo build --locked --bin parlance
	PARLANCE_TORTURE=1 cargo test --locked --package parlance-tests --test models --test coherence -- --nocapture

lint: $(BUF) ## check format, clippy, docs and the contract; changes nothing
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
	$(BUF) lint
	$(BUF) format --diff --exit-code
	$(BUF) breaking --against proto/baseline.binpb

fmt: $(BUF) ## format Rust and the contract
	cargo fmt --all
	$(BUF) format --write

bench: ## run the benchmarks
	cargo run --release --locked --package parlance-benches

deny: ## check licences, advisories and doubled dependencies
	@cargo deny --version >/dev/null 2>&1 || { echo "cargo-deny is missing: cargo install --locked cargo-deny" >&2; exit 1; }
	cargo deny check

picture: ## take the picture of the page that the README shows, docs/images/page.png
	scripts/ensure-services.sh
	cargo build --locked --bin parlance
	mkdir -p docs/images
	PAGE_PICTURE=$(CURDIR)/docs/images/page.png cargo test --locked --package parlance-tests --test page picture

proto-baseline: $(BUF) ## take the contract as it is for what must not break from now on
	scripts/proto-baseline.sh $(BUF)

clean: ## remove everything that was built
	cargo clean

$(BUF): scripts/ensure-buf.sh
	scripts/ensure-buf.sh $(BUF_VERSION) $(BUF_FOLDER)
