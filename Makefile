# The one way to do each thing, here and in CI. Needs Python 3.11 or newer, make and git.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
endif

.PHONY: help demo test test-all check format bench conformance examples clean

help:  ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.base: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "project_cache needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[plot]'
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(VENV)/.base  ## make the synthetic demo project, print its table, draw a figure
	PROJECT_CACHE_DIR=$${PROJECT_CACHE_DIR:-$(CURDIR)/demo} $(BIN)/project-cache demo --figure demo.png

test: $(VENV)/.dev  ## the fast tests, on all cores
	$(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile -m "not slow and not conformance" $(ARGS)

test-all: $(VENV)/.dev  ## all tests but the comparisons with AllenSDK
	$(BIN)/python -m pytest -q -m "not conformance" $(ARGS)

conformance: $(VENV)/.dev  ## compare with AllenSDK 2.16.2, in an environment of its own
	$(BIN)/python -m pytest -q -m conformance $(ARGS)

check: $(VENV)/.dev  ## ruff, format, mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev  ## put code into form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev  ## measure, side by side with AllenSDK 2.16.2
	$(BIN)/python -m benchmarks $(ARGS)

clean:  ## remove what make has made
	rm -rf $(VENV) .venv-* demo demo.png build dist .pytest_cache .mypy_cache .ruff_cache
