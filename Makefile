# Two commands: `make demo` makes a spoken data set to listen to, `make test` proves the rest.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check -q

.DEFAULT_GOAL := help
.PHONY: help demo test torture check format bench clean

help: ## show the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/'

# A stamp is made after its install succeeded, so an interrupted one is done again.
$(VENV)/core.stamp: pyproject.toml
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@echo "installing the core packages into $(VENV) …"
	@$(PIP) install -e .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/core.stamp requirements-test.txt
	@echo "installing what the tests need into $(VENV) …"
	@$(PIP) install -r requirements-test.txt -e '.[dev]'
	@touch $@

demo: $(VENV)/core.stamp ## set up, then passages → dialogues → speech → data set, offline
	@$(BIN)/askqa-build demo

test: $(VENV)/dev.stamp ## set up what the tests need and run them
	@$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

$(VENV)/torture.stamp: $(VENV)/dev.stamp
	@echo "installing Ray and an object store to try into $(VENV) …"
	@$(PIP) install -e '.[torture]'
	@touch $@

torture: $(VENV)/torture.stamp ## kills, full disks, flipped bits, dying servers and nodes (minutes)
	@$(BIN)/python -m pytest tests/torture -n 2 --dist worksteal --durations 20

check: $(VENV)/dev.stamp ## format, lint, types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

bench: $(VENV)/torture.stamp ## measure speed against what one would use instead, into docs/benchmarks.md
	@$(BIN)/python benchmarks/run.py

format: $(VENV)/dev.stamp ## mend format and lint where a tool can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean: ## remove the virtual environment and the demo
	rm -rf $(VENV) demo
