# The two commands: `make demo` and `make test`. Each makes what it needs; nothing but Python 3.11 or newer is assumed.
SHELL := /bin/bash
PYTHON ?= $(shell for candidate in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$candidate" && break; done)
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help setup demo test lint bench update clean

help: ## Show what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: $(READY) ## Make .venv with the byomesh command, and build the local cloud's programs
	@$(BIN)/python -m byomesh.local.build

$(READY): requirements-dev.txt pyproject.toml
	@if [ -z "$(PYTHON)" ]; then \
		echo 'byomesh needs Python 3.11 or newer; get it with: apt-get install python3 python3-venv' >&2; exit 1; fi
	@echo "· virtual environment in .venv ($$($(PYTHON) --version))"
	@$(PYTHON) -m venv --clear .venv || { \
		echo 'python has no venv module; get it with: apt-get install python3-venv' >&2; exit 1; }
	@echo '· packages, each held against its hash (about a minute)'
	@$(BIN)/python -m pip install --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.txt \
		| sed -u -n 's/^Collecting \([^ =]*\).*/  \1/p'; exit $${PIPESTATUS[0]}
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## Show the main job on the local cloud (under two minutes once everything is built)
	@$(BIN)/byomesh demo

test: setup ## Run every test, and hold the coverage to 95 %
	@rm -f .coverage .coverage.*
	@$(BIN)/coverage run -m pytest
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

lint: $(READY) ## Check style, types and layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: setup ## Measure speed and memory as ratios, side by side in one run
	@$(BIN)/python -m bench

update: $(READY) ## Pin every Python dependency anew, with hashes
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet uv
	@for name in requirements requirements-dev; do \
		$(BIN)/uv pip compile --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --quiet \
			--custom-compile-command 'make update' \
			$$name.in --output-file $$name.txt; done

clean: ## Remove what was made in this folder (the cache of built programs stays)
	@rm -rf .venv .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
