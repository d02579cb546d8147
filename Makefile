# Everything that is done with Quittance: `make help` lists it. Set-up is part of each: nothing has to be installed by
# hand but Rust (rustup) and Node.js 20.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

LISTEN ?= 127.0.0.1:3000
DATABASE ?= sqlite:data/quittance.db
SETUP := target/setup/toolchain.mk
MANIFEST := target/site/manifest.json
# What is embedded is part of what is built; the same for every build of the release profile, or each would build anew.
SITE = QUITTANCE_SITE=$$(sha256sum $(MANIFEST) | cut -c1-16)
WASM := target/wasm32-unknown-unknown/wasm-release/quittance.wasm
BINARY := target/release/quittance
SERVER_SOURCES := $(shell find src migrations -type f) Cargo.toml Cargo.lock
SITE_SOURCES := $(shell find src/domain src/rpc src/ui style public -type f) src/lib.rs Cargo.toml Cargo.lock .ci/site.mjs

# Which compiler builds both halves; the set-up finds out.
-include $(SETUP)
export RUST_BACKTRACE ?= 0

.PHONY: serve test build dev lint bench chaos fuzz help setup site clean screenshots

serve: build ## Build what is missing, start with an embedded SQLite file, print where to go (DEMO=1: with a living demo)
	@exec $(BINARY) serve --listen $(LISTEN) --database $(if $(DEMO),sqlite:data/demo.db --demo,$(DATABASE))

test: ## Install what the tests need, run all of them
	@.ci/setup test
	@$(MAKE) --no-print-directory _test

build: ## The release binary, with everything a browser needs inside: target/release/quittance
	@.ci/setup
	@$(MAKE) --no-print-directory $(BINARY)

dev: ## Run a development build; start it again after a change (only the server half is compiled again)
	@.ci/setup
	@$(MAKE) --no-print-directory $(MANIFEST)
	@cargo run --features ssr -- serve --listen $(LISTEN) --database sqlite:data/dev.db $(if $(DEMO),--demo)

lint: ## Formatting, clippy for both halves with warnings denied, documentation
	@.ci/setup
	@$(MAKE) --no-print-directory _lint

bench: ## Measure (half an hour): wire rules, gateways, load runs, memory, size of the first visit (BENCH="steady search-all": these load runs only; BENCH=verify: gateways)
	@.ci/setup test
	@$(MAKE) --no-print-directory $(if $(filter verify,$(BENCH)),$(MANIFEST) _bench_verify,$(BINARY) _bench)

fuzz: ## Fuzz every parser for a minute each, on a stable compiler (FUZZ="form json": these; SECONDS_EACH=600: longer)
	@.ci/setup
	@$(MAKE) --no-print-directory _fuzz

chaos: ## Prove that nothing acknowledged is lost: kill servers again and again at full load (CHAOS="--kills 50 --engine sqlite")
	@.ci/setup test
	@$(MAKE) --no-print-directory $(BINARY) _chaos

screenshots: ## Make the picture of the README anew from the demo, and those of end2end/reference that the tests hold pages against
	@.ci/setup test
	@$(MAKE) --no-print-directory $(BINARY) _screenshots

clean: ## Remove what was built (the databases in data/ stay)
	@rm -rf target

help: ## This list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# --- Steps of the above; they run in a second make, after the set-up has written what the first could not know. ---

$(WASM): $(SITE_SOURCES)
	@echo '==> building the WebAssembly half' >&2
	@cargo rustc -q --lib --crate-type cdylib --features hydrate --target wasm32-unknown-unknown --profile wasm-release
	@touch $@

$(MANIFEST): $(WASM)
	@node .ci/site.mjs $(WASM)

$(BINARY): $(SERVER_SOURCES) $(MANIFEST)
	@echo '==> building the server' >&2
	@$(SITE) cargo build --release --features ssr --bin quittance
	@touch $@

.PHONY: _test _lint _bench _bench_verify _fuzz _chaos _screenshots
_test: $(MANIFEST)
	@cargo test --features ssr --no-run --quiet
	@cargo build --features ssr --bin quittance --quiet
	@cargo test --features ssr
	@cd end2end && npx playwright test

_lint:
	@if cargo fmt --version >/dev/null 2>&1; then cargo fmt --check; else RUSTUP_TOOLCHAIN=stable cargo fmt --check; fi
	@cargo clippy --features ssr --all-targets -- -D warnings
	@cargo clippy --lib --features hydrate --target wasm32-unknown-unknown -- -D warnings
	@RUSTDOCFLAGS='-D warnings' cargo doc --features ssr --no-deps --document-private-items
	@cd fuzz && cargo check --quiet --target-dir ../target/fuzz

# What PostgreSQL's manual advises for a server of its own: a quarter of the memory.
BUFFERS = $(shell awk '/^MemTotal/ { printf "%dMB", $$2 / 4096 }' /proc/meminfo 2>/dev/null || echo 256MB)

_bench_verify:
	@$(SITE) cargo bench --features ssr --bench verify

_bench:
	@$(if $(BENCH),,$(SITE) cargo bench --features ssr --bench wire --bench verify)
	@QUITTANCE_BENCH_BUFFERS=$(BUFFERS) QUITTANCE_BINARY=$(BINARY) $(SITE) cargo bench --features ssr --bench load -- $(BENCH)
	@$(if $(BENCH),,node .ci/measure.mjs $(BINARY))

# libFuzzer with coverage, which needs no nightly compiler as long as no sanitizer is asked for: these are the flags that count which
# edges a run takes and what is compared. With --target they are not given to what runs while building.
FUZZ ?= form query json headers receipt answer access preset
SECONDS_EACH ?= 60
COVERAGE := -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
	-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing
_fuzz:
	@host=$$(rustc -vV | sed -n 's/^host: //p'); \
	cd fuzz; \
	RUSTFLAGS='$(COVERAGE)' cargo build --quiet --target $$host --target-dir ../target/fuzz --bin fuzz; \
	for target in $(FUZZ); do \
		echo "==> $$target, $(SECONDS_EACH) s" >&2; \
		mkdir -p found/$$target artifacts/$$target; \
		FUZZ_TARGET=$$target ../target/fuzz/$$host/debug/fuzz -max_total_time=$(SECONDS_EACH) -max_len=65536 -timeout=10 -rss_limit_mb=2048 \
			-print_final_stats=1 -artifact_prefix=artifacts/$$target/ found/$$target corpus/$$target; \
	done

_chaos:
	@$(SITE) cargo bench --features ssr --bench chaos -- $(CHAOS)

_screenshots:
	@cd end2end && node screenshots.mjs ../$(BINARY)
	@cd end2end && QUITTANCE_BIN=$(abspath $(BINARY)) npm run --silent reference
