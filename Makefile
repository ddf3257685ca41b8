# Everything that a developer runs. `make help` lists it.
# Commands for the host name a target, not a package: with the same packages, and so the same features,
# each dependency is compiled once.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PREFECT ?=
# The stack runner; in the dev profile, since it only starts things and waits. Cargo tells of its
# progress when there is something to build.
RUNNER := cargo build --locked --bin lictor-stack
STACK := cargo run --quiet --locked --bin lictor-stack --

.PHONY: help up down status logs wasm test test-fast test-core test-wasm test-shell test-e2e test-traefik test-long test-fresh mutants lint fmt samples compose-test setup screenshots conformance bench soak fuzz

help: ## List every target
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: ## Start Envoy with Lictor, Keycloak and Prefect (PREFECT=3.4.13 for another version)
	@scripts/toolchain --stack wasm32-wasip1
	@test -x "$${CARGO_TARGET_DIR:-target}/debug/lictor-stack" || { echo "runner               building, once" >&2; $(RUNNER); }
	@$(STACK) up --prefect "$(PREFECT)"

down: cargo ## Stop them; nothing is left running, Prefect keeps its data
	@$(STACK) down

status: cargo ## Say what runs and what is ready
	@$(STACK) status

logs: cargo ## Show the ends of all logs
	@$(STACK) logs

wasm: ## Build the module, print its size and imports
	@scripts/toolchain wasm32-wasip1
	@cargo build --quiet --locked --release -p lictor-filter --target wasm32-wasip1
	@scripts/module-report

test: setup test-core test-wasm wasm test-shell test-e2e ## All tests, on the real parts

test-fast: cargo ## The inner loop: the core on the host
	@cargo test --quiet --locked -p lictor-core

test-core: cargo ## Unit, scenario and property tests on the host
	cargo test --locked --lib --bins

test-wasm: ## The core's tests on wasm32, by wasm-bindgen-test
	@scripts/toolchain wasm32-unknown-unknown
	CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER="$$(scripts/wasm-test-runner)" \
	    cargo test --locked -p lictor-core --target wasm32-unknown-unknown --lib

test-shell: wasm ## The built module in a host whose calls fail, each in turn
	cargo test --locked --test shell

test-e2e: wasm ## The built module in the real Envoy with Keycloak, Prefect and Chromium
	cargo test --locked --test e2e

test-traefik: wasm ## The stories of Traefik, which takes minutes to build the first time
	cargo test --locked --test e2e -- --ignored Traefik

test-long: ## What is long and optional: Traefik, soak, fuzz; tells what it ran
	@scripts/test-long

test-fresh: ## make up and make setup as on a machine that has Rust and Python alone (root, Linux; long)
	@scripts/test-fresh

mutants: cargo ## Change the code that lets requests through; the core's tests must notice (an hour or two)
	@scripts/mutants

soak: setup wasm ## A hundred flow runs of a worker with client credentials, over a restart of Keycloak
	LICTOR_SOAK=1 cargo test --locked --test e2e -- soak

fuzz: cargo ## Attack the reader of first frames for a minute (needs nightly Rust)
	@scripts/fuzz

conformance: setup wasm ## Suites written by others, one line each; fails below docs/conformance.md
	@scripts/conformance

bench: ## What a request costs in Envoy, beside its own jwt_authn: docs/benchmarks.md
	@scripts/toolchain --stack wasm32-wasip1
	@cargo bench --quiet --locked --profile dev --bench requests

lint: cargo ## Formatting, clippy for host and wasm, licences, scripts
	@scripts/lint

fmt: cargo ## Format the code
	@cargo fmt

samples: wasm parts ## Validate every Envoy configuration in the repository with the real Envoy
	@scripts/check-samples
	@scripts/check-connections

compose-test: wasm parts ## Check the compose stack; run it where a Docker engine is there
	@scripts/compose-test

screenshots: wasm ## Make the pictures in docs/images anew
	LICTOR_SCREENSHOTS=1 cargo test --locked --test e2e -- browser
	LICTOR_SCREENSHOTS=1 cargo test --locked --test e2e -- "companion: it says"

setup: ## Install what the tests need and is not there
	@scripts/setup

.PHONY: cargo parts
parts: cargo
	@$(STACK) fetch
cargo:
	@scripts/toolchain
