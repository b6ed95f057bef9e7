# The short ways into the project. Everything they need is in .venv, made from requirements.lock.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup up test nox lock

BIN := .venv/bin
ARGS ?=

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  ARGS=… is passed on, as in: make test ARGS='tests/unit -x'"

setup: $(BIN)/.up-to-date ## Make .venv and install what requirements.lock names

up: setup ## Start the platform and the servers it needs; Ctrl-C stops them
	@exec $(BIN)/kelmah up $(ARGS)

test: setup ## Run the tests, on servers that they start themselves
	@exec $(BIN)/python -m pytest $(ARGS)

nox: setup ## Run the checks: make nox ARGS='-s lint types'
	@exec $(BIN)/nox $(ARGS)

# uv.lock names registries by host, so it is not committed; these two are the same versions without hosts.
EXPORT := $(BIN)/uv export --quiet --frozen --no-emit-project --no-emit-index-url --no-annotate --no-header \
	--format requirements.txt
lock: setup ## Resolve the dependencies of pyproject.toml into the requirements locks
	$(BIN)/uv lock
	$(EXPORT) --all-extras --all-groups --output-file requirements.lock
	$(EXPORT) --no-default-groups --output-file requirements.production.lock

# The newest Python that the project supports, the system's own first.
$(BIN)/python:
	@python=; for name in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
		if "$$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; \
		then python="$$name"; break; fi; done; \
	if [ -z "$$python" ]; then echo 'Kelmah needs Python 3.11, 3.12 or 3.13: none is on the PATH.' >&2; exit 1; fi; \
	if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
		package="$$("$$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"; \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "Installing $$package"; apt-get update -q && apt-get install -qy --no-install-recommends "$$package"; \
		else echo "Python lacks its venv module. Install it first: sudo apt-get install $$package" >&2; exit 1; fi; fi; \
	"$$python" -m venv --clear .venv

# uv is installed by pip with its hash from the lock, and installs the rest, also by hash. The project itself
# is linked, so that edits show at once. A change of the lock or of pyproject.toml runs this again.
$(BIN)/.up-to-date: requirements.lock pyproject.toml | $(BIN)/python
	@echo 'Installing from requirements.lock'
	@if ! $(BIN)/python -m uv --version >/dev/null 2>&1; then \
		awk '/^[^ ]/ {wanted = /^uv==/} wanted' requirements.lock > .venv/uv.txt; \
		$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r .venv/uv.txt; fi
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@
