# Everything sets itself up: a virtual environment in .venv, made anew when what goes into it changes.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# The versions of all that is installed. Empty: the newest ones.
CONSTRAINTS ?= .ci/constraints.txt
export PIP_CONSTRAINT = $(CONSTRAINTS)
export PIP_BUILD_CONSTRAINT = $(CONSTRAINTS)
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Compiled tests are kept: rewriting their assertions takes every worker ten seconds.
export PYTHONDONTWRITEBYTECODE =

.DEFAULT_GOAL := help
# How many imports `make crash` kills.
N ?= 1000
# One test in so many, for `make test` and `make fuzz`; always the same ones.
EVERY ?= 1
# More for pytest: make test TESTS='tests/ids -x'
TESTS ?=
# One worker more than there are processors: some tests wait.
PYTEST = .ci/in_memory $(BIN)/python -m pytest --numprocesses $$(($$(getconf _NPROCESSORS_ONLN) + 1)) --maxprocesses 8 --dist worksteal
.PHONY: help demo test fuzz lint types bench crash completions man screenshots constraints build check clean

help: ## Show what there is to do
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(READY): pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; $(PYTHON) is %d.%d. Name another one: make PYTHON=python3.12" % sys.version_info[:2])'
	@echo 'Installing into $(VENV) …'
	@$(PYTHON) -m venv --clear $(VENV) \
		&& $(BIN)/python -m pip install --quiet --editable '.[nats,duckdb,dev]' \
		|| { rm -rf $(VENV); exit 1; }
	@touch $@

demo: $(READY) ## Make a sample history, import it into demo/, show the result
	@rm -rf demo && mkdir -p demo
	@$(BIN)/python .demo/make_history.py demo
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
	$(PYTEST) --every $(EVERY) $(TESTS)

fuzz: $(READY) ## Run the tests that try every fault with every input
	$(PYTEST) -m fuzz --every $(EVERY) $(TESTS)

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

screenshots: $(READY) ## Run the commands in the README anew, and renew their outputs and the picture
	$(BIN)/python -m tests.screenshots

man: $(READY) ## Write the man page into dist/
	$(BIN)/python -m tests.man_page dist/tautulli-import.1

constraints: ## Renew the versions that are installed for the demo and the tests
	.ci/constrain $(PYTHON)

build: $(READY) ## Build the wheel and the source distribution into dist/
	$(BIN)/python -m pip install --quiet build
	rm -rf dist
	$(BIN)/python -m build --outdir dist .

check: lint types test ## All that CI runs, but for the built wheel

clean: ## Remove everything that was made
	rm -rf $(VENV) .cache dist demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
