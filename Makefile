# make demo       creates the environment, installs Adumbra, and segments a simulated stroke
# make test       creates the environment, then runs lint, types, import contracts and tests
# make coverage   runs the tests with branch coverage; writes a table and htmlcov/index.html
# make docs       builds the documentation in site/index.html; a broken link is an error
# make clean      removes the environment and everything that was built
#
# CASE=DIR        make demo: segments this real case too
# OUT=DIR         make demo: output folder (default: demo)
# TORCH=SPEC      the torch to install, such as TORCH=torch==2.13.0; by default the CPU build where there is no GPU
# PYTHON=FILE     the Python of the environment (3.11 or later)

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
	$(VENV)/bin/pytest --numprocesses 2 --dist loadfile

coverage: $(VENV)/.ready-test browser
	@$(VENV)/bin/pytest --cov --cov-report=term --cov-report=html -k "not memory"

# The theme prints a notice about its own future, which does not concern these pages.
docs: $(VENV)/.ready-test
	@NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet
	echo "Written: site/index.html"

environment: $(VENV)/.ready-test

# The stamps are newer than the lists of packages, so nothing is installed twice.
$(VENV)/.ready-demo: $(VENV)/.ready-torch pyproject.toml constraints.txt
	@echo "Installing Adumbra. This takes some minutes."
	$(PIP) install --constraint $(LIMITS) --editable '.[fast]'
	touch $@

$(VENV)/.ready-test: $(VENV)/.ready-torch pyproject.toml constraints.txt
	@echo "Installing Adumbra and the packages of its tests. This takes some minutes."
	$(PIP) install --constraint $(LIMITS) --editable '.[dev]'
	touch $@ $(VENV)/.ready-demo

# torch is installed first: its CPU build is a fifth of the size, but pip does not prefer it. The sources are tried in this
# order: pip's own by the local version, PyTorch's index of CPU builds, and the default build of the platform.
$(VENV)/.ready-torch: constraints-cpu.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or later was found. Give one with make PYTHON=/path/to/python3.11" >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV) || { echo "The virtual environment could not be created. Debian needs the package python3-venv." >&2; exit 1; }
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

# The tests of the report use a real browser. Where none is installed and none can be, these tests are skipped.
browser:
	@if ! command -v chromium >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		echo "Installing chromium for the tests of the report"
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes chromium; } >/dev/null 2>&1 </dev/null ||
		echo "chromium could not be installed. The browser tests of the report will be skipped."
	fi

clean:
	@rm -rf $(VENV) demo build dist site htmlcov .coverage .coverage.*
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
