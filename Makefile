# crgan: `make demo` and `make test` do all of the set-up on a fresh machine and are quick when it is already done.
.PHONY: env demo test test-slow lint types clean
.DEFAULT_GOAL := demo

# The first of these that is Python 3.11 or newer makes the environment; `make PYTHON=/path/to/python` names another.
PYTHON ?= python3 python3.13 python3.12 python3.11 python3.14 python
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
STAMP := $(VENV)/.crgan-installed

env: $(STAMP)

$(BIN)/python:
	@for python in $(PYTHON); do \
	  if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "crgan needs Python 3.11 or newer with its venv module; none of these is: $(PYTHON)."; \
	  echo "Install one (on Debian and Ubuntu with the package python3-venv), or name it: make $(or $(MAKECMDGOALS),env) PYTHON=/path/to/python3.12"; \
	  exit 1; \
	fi; \
	echo "Making $(VENV) with $$($$found --version)"; \
	$$found -m venv $(VENV)

# A PyTorch that is already in the environment is kept, whatever its version and build: the ranges of pyproject.toml still hold.
$(STAMP): pyproject.toml constraints.txt | $(BIN)/python
	@if $(BIN)/python -c 'import importlib.util as u, sys; sys.exit(u.find_spec("torch") is None)'; then \
	  grep -v '^torch==' constraints.txt > $(VENV)/constraints.txt; \
	else \
	  cp constraints.txt $(VENV)/constraints.txt; \
	fi
	@echo "Installing crgan and what it needs (some minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]' -c $(VENV)/constraints.txt
	@touch $@

demo: env
	$(BIN)/crgan demo --out demo --overwrite

test: env
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --cov --cov-report=term

# What trains for long, or in several processes that are killed.
test-slow: env
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto -m slow

lint: env
	$(BIN)/ruff check .

types: env
	$(BIN)/mypy

clean:
	rm -rf $(VENV) demo build dist .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
