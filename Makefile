# make demo       environment, installation, then the main job on a stroke that the phantom draws
# make test       environment, installation, lint, types, import contracts, tests
# make coverage   the tests again, with the lines and branches that they reach: a table, and htmlcov/index.html
# make docs       the documentation as a site: site/index.html; a broken link is an error
#
# CASE=DIR        make demo: a real case beside the phantom's
# OUT=DIR         make demo: where to write (default: demo)
# TORCH=SPEC      the torch to install, such as TORCH=torch==2.13.0; by default the CPU build where there is no GPU
# PYTHON=FILE     the Python to build the environment with (3.11 or later)

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.PHONY: demo test coverage docs environment browser clean

VENV ?= .venv
OUT ?= demo
CASE ?=
TORCH ?=
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v "$$p"; break; }; done)
GPU := $(shell nvidia-smi -L 2>/dev/null | grep -c '^GPU')
LIMITS := $(if $(TORCH)$(filter-out 0,$(GPU)),constraints.txt,constraints-cpu.txt)
CPU_TORCH := $(shell sed -n 's/^torch==/torch==/p' constraints-cpu.txt)
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check --quiet --quiet

demo: $(VENV)/.ready-demo
	@$(VENV)/bin/adumbra demo $(if $(CASE),"$(CASE)") --out "$(OUT)"

test: $(VENV)/.ready-test browser
	@$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/pytest

coverage: $(VENV)/.ready-test browser
	@$(VENV)/bin/pytest --cov --cov-report=term --cov-report=html

# The theme's notice of its own end of life is not about these pages.
docs: $(VENV)/.ready-test
	@NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet
	echo "Written: site/index.html"

environment: $(VENV)/.ready-test

# A stamp is as new as the lists it was installed from: nothing is installed twice.
$(VENV)/.ready-demo: $(VENV)/.ready-torch pyproject.toml constraints.txt
	@echo "Installing Adumbra: some minutes"
	$(PIP) install --constraint $(LIMITS) --editable '.[fast]'
	touch $@

$(VENV)/.ready-test: $(VENV)/.ready-torch pyproject.toml constraints.txt
	@echo "Installing Adumbra and what its tests need: some minutes"
	$(PIP) install --constraint $(LIMITS) --editable '.[dev]'
	touch $@ $(VENV)/.ready-demo

# torch goes first, for its CPU build is a fifth of the other's size and pip would not choose it by itself: asked of pip's
# own sources by its local version, then of PyTorch's index of CPU builds, then whatever the platform has.
$(VENV)/.ready-torch: constraints-cpu.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or later found: name one with make PYTHON=/path/to/python3.11" >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV) || { echo "No virtual environment: Debian needs the package python3-venv" >&2; exit 1; }
	if [ -n "$(TORCH)" ]; then
		echo "Installing $(TORCH)"; $(PIP) install '$(TORCH)' --constraint constraints.txt
	elif [ "$(GPU)" -gt 0 ]; then
		echo "Installing torch for the $(GPU) GPU found"; $(PIP) install 'torch>=2.8' --constraint constraints.txt
	else
		echo "Installing $(CPU_TORCH), CPU build"
		$(PIP) install --no-deps '$(CPU_TORCH)+cpu' 2>/dev/null ||
		$(PIP) install --no-deps --retries 1 --timeout 15 '$(CPU_TORCH)' --index-url https://download.pytorch.org/whl/cpu 2>/dev/null ||
		$(PIP) install '$(CPU_TORCH)' --constraint constraints.txt
	fi
	touch $@

# The report is looked at in a real browser; where there is none, and none can be had, those tests skip and say so.
browser:
	@if ! command -v chromium >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		echo "Installing chromium for the report's tests"
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes chromium; } >/dev/null 2>&1 </dev/null ||
		echo "No chromium to be had: the report's browser tests will skip"
	fi

clean:
	@rm -rf $(VENV) demo build dist site htmlcov .coverage .coverage.*
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
