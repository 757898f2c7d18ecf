# What a person runs and what CI runs. A fresh machine needs Python 3.11 or later (3.13 is taken where there is one),
# Node.js 20 or later, make and git; no Azure account and no `func`.
#
#   make test PYTHON=python3.11 VENV=.venv-3.11     the tests on another Python, in its own virtual environment
#   make test ARGS="tests/test_docs.py -x"          words for pytest (demo, up and bench take ARGS too)

VENV ?= .venv
ARGS ?=
RUN := $(VENV)/bin/python
SETUP := $(VENV)/.installed node_modules/.installed
STAND_IN := .venv-fakesnow/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo up test test-snowflake check format bench lock clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## */  make \1	/' | expand -t 16

setup: $(SETUP)  ## make the virtual environment and install Azurite; the other targets do this by themselves

demo: $(SETUP)  ## watch a Customer.io sync being ingested, and checked against what it should be
	@$(RUN) -m local.demo $(ARGS)

up: $(SETUP)  ## the same, running on with new syncs and the dashboard served, until Ctrl-C
	@$(RUN) -m local.demo --up $(ARGS)

test: $(SETUP) $(STAND_IN)  ## run the tests
	@$(RUN) -m pytest $(ARGS)

test-snowflake: $(SETUP)  ## check on a real Snowflake account what the stand-in cannot show; docs/snowflake.md says how
	@$(RUN) -m pytest tests/real_snowflake -p no:cacheprovider $(ARGS)

check: $(VENV)/.installed  ## ruff, mypy strict, import-linter
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports

format: $(VENV)/.installed  ## let ruff format the code and mend what it can
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

bench: $(SETUP) $(STAND_IN)  ## measure; see docs/benchmarks.md
	@$(RUN) -m bench $(ARGS)

# What is pinned stays unless ARGS=--upgrade, or ARGS="--upgrade-package pyarrow", says otherwise.
lock: .local/lock/bin/uv  ## pin the requirements anew
	$(UV) pyproject.toml --constraint constraints.in --output-file requirements.txt $(ARGS)
	$(UV) pyproject.toml --constraint requirements.txt --group dev --output-file requirements-dev.txt $(ARGS)

UV := .local/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url \
	--custom-compile-command 'make lock'

.local/lock/bin/uv:
	$$(local/find_python.sh) -m venv .local/lock
	.local/lock/bin/python -m pip install --quiet --disable-pip-version-check uv

$(VENV)/.installed: requirements-dev.txt
	@python="$(PYTHON)"; python=$${python:-$$(local/find_python.sh)} || exit 1; \
	test -x $(RUN) || { echo "Making $(VENV) with $$python"; "$$python" -m venv $(VENV); } || exit 1; \
	$(RUN) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "$(VENV): Python 3.11 or later is needed")'
	@echo "Installing the Python packages into $(VENV)"
	@$(RUN) -m pip install --quiet --disable-pip-version-check --require-virtualenv -r requirements-dev.txt
	@touch $@

# The stand-in for Snowflake pins other versions than the app does.
$(STAND_IN): tests/fakesnow_server/requirements.txt
	@python="$(PYTHON)"; python=$${python:-$$(local/find_python.sh)} || exit 1; \
	test -x .venv-fakesnow/bin/python || "$$python" -m venv .venv-fakesnow
	@echo "Installing the tests' stand-in for Snowflake into .venv-fakesnow"
	@.venv-fakesnow/bin/python -m pip install --quiet --disable-pip-version-check --require-virtualenv -r $<
	@touch $@

node_modules/.installed: package-lock.json
	@command -v node >/dev/null || { echo "Node.js 20 or later is needed for Azurite: install it." >&2; exit 1; }
	@node -e 'if (parseInt(process.versions.node) < 20) { console.error("Node.js 20 or later is needed, not " + process.versions.node + "."); process.exit(1) }'
	@echo "Installing Azurite into node_modules"
	@npm ci --no-audit --no-fund --loglevel=error
	@touch $@

clean:  ## stop the Azurite of this folder and remove what was made here
	@if [ -x $(RUN) ] && [ -d .local/azurite ]; then $(RUN) -m local.azurite stop; fi
	rm -rf .venv .venv-3.* .venv-fakesnow node_modules .local .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
