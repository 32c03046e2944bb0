# Everything sets itself up: a virtual environment in .venv, made once per pyproject.toml.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
N ?= 1000
.PHONY: help demo test lint types bench crash completions build check clean

help: ## Show what there is to do
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(READY) ## Make a sample history, import it into demo/, show the result
	@rm -rf demo && mkdir -p demo
	@$(BIN)/python -m tests.history demo/tautulli.db --plays 3000 --config-ini
	@echo; echo '$$ tautulli-import check demo/tautulli.db'
	@$(BIN)/tautulli-import check demo/tautulli.db --state-dir demo/state
	@echo; echo '$$ tautulli-import db demo/tautulli.db --dry-run --format table'
	@$(BIN)/tautulli-import db demo/tautulli.db --dry-run --format table --out demo/tracker --state-dir demo/state
	@echo; echo '$$ tautulli-import db demo/tautulli.db --to tracker --out demo/tracker'
	@$(BIN)/tautulli-import db demo/tautulli.db --to tracker --out demo/tracker --state-dir demo/state
	@echo; echo 'The same command again:'
	@$(BIN)/tautulli-import db demo/tautulli.db --to tracker --out demo/tracker --state-dir demo/state
	@echo; echo 'Look into demo/tracker/history.json, one item a line.'

test: $(READY) ## Run the tests
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist worksteal

lint: $(READY) ## Look for what a linter finds
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## Check the types
	$(BIN)/mypy

bench: $(READY) ## Measure: a million plays beside a bare read of the same rows
	$(BIN)/python -m tests.bench

crash: $(READY) ## Kill and starve imports N times, and look what came of them
	$(BIN)/python -m tests.crash --n $(N)

completions: $(READY) ## Write completions/ anew from the program
	$(BIN)/python -m tests.completions completions

build: $(READY) ## Build the wheel and the source distribution into dist/
	$(BIN)/python -m pip install --quiet --disable-pip-version-check build
	rm -rf dist
	$(BIN)/python -m build --outdir dist .

check: lint types test ## All that CI runs, but for the built wheel

clean: ## Remove everything that was made
	rm -rf $(VENV) .cache dist demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
