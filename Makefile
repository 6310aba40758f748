# Two commands matter: `make run` and `make test`. Everything else is a one-liner beside them.

PYTHON ?= $(shell command -v python3.11 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
# Browsers and databases are processes too: two workers keep two cores busy.
WORKERS ?= 2
# Of each fault test; 1,000 take some forty minutes a test.
KILLS ?= 300

.DEFAULT_GOAL := help
.PHONY: help run test test-sqlite test-postgres test-faults test-networks lint format bench \
	bench-scheduling bench-chat bench-sentiment bench-backups lock clean

help:  ## List these commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

run: $(VENV)/.runs  ## Start the studio on http://localhost:8000 (Ctrl-C ends it)
	@exec $(BIN)/python manage.py up

test: $(VENV)/.tests  ## Run every test on SQLite, then on PostgreSQL
	$(PYTEST) -n $(WORKERS) --database sqlite
	$(PYTEST) -n $(WORKERS) --database postgres

test-sqlite: $(VENV)/.tests  ## Run every test on SQLite
	$(PYTEST) -n $(WORKERS) --database sqlite

test-postgres: $(VENV)/.tests  ## Run every test on PostgreSQL
	$(PYTEST) -n $(WORKERS) --database postgres

test-faults: $(VENV)/.tests  ## Kill processes at random and look for lost and doubled posts (long)
	$(PYTEST) -m faults --kills $(KILLS) --database sqlite
	$(PYTEST) -m faults --kills $(KILLS) --database postgres

test-networks: $(VENV)/.tests  ## Publish to real Bluesky, Matrix and Nostr servers (long)
	$(PYTEST) -m networks

lint: $(VENV)/.tests  ## Check style, types, import contracts, system checks and migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy gator apps tests benchmarks
	$(BIN)/lint-imports --no-cache
	GATOR_PUBLIC_URL=https://gator.example.org $(BIN)/python manage.py check --deploy --fail-level WARNING
	$(BIN)/python manage.py makemigrations --check --dry-run

format: $(VENV)/.tests  ## Put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: bench-scheduling bench-chat bench-sentiment bench-backups  ## Run every benchmark

bench-scheduling: $(VENV)/.tests  ## Measure scheduling beside plain Celery
	$(BIN)/python -m benchmarks.scheduling

bench-backups: $(VENV)/.tests  ## Measure backups beside pg_dump, gzip, tar and django-dbbackup
	$(BIN)/python -m benchmarks.backups

bench-sentiment: $(VENV)/.tests  ## Measure sentiment beside VADER and TextBlob
	$(BIN)/uv pip install -q --python $(BIN)/python vaderSentiment==3.3.2 textblob==0.19.0
	$(BIN)/python -m benchmarks.sentiment

bench-chat: $(VENV)/.tests  ## Measure chat beside websockets, socket.io and daphne
	$(BIN)/python -m benchmarks.chat

lock: $(VENV)/.runs  ## Pin requirements anew from the *.in files
	$(BIN)/uv pip compile -q --upgrade --python-version 3.11 requirements.in -o requirements.txt
	$(BIN)/uv pip compile -q --upgrade --python-version 3.11 requirements-s3.in -o requirements-s3.txt
	$(BIN)/uv pip compile -q --upgrade --python-version 3.11 requirements-sftp.in -o requirements-sftp.txt
	$(BIN)/uv pip compile -q --upgrade --python-version 3.11 requirements-dev.in -o requirements-dev.txt

clean:  ## Remove the virtual environment and caches (var/ stays)
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || \
	    { echo "gator: $(PYTHON) is missing: install python3.11, or say make PYTHON=..." >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11))' || \
	    { echo "gator: $(PYTHON) is older than 3.11; say make PYTHON=..." >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo "gator: python3-venv is missing: as root, apt install python3-venv" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV)

# uv installs in seconds what takes pip a minute; where it does not run, pip does it.
# As pip does, uv trusts the certificates this machine trusts.
export UV_SYSTEM_CERTS := 1
define install
	@echo "gator: installing $(1) ..."
	@test -x $(BIN)/uv || $(BIN)/python -m pip install -q --disable-pip-version-check uv || true
	@$(BIN)/uv pip install -q --python $(BIN)/python -r $(1) || \
	    $(BIN)/python -m pip install -q --disable-pip-version-check -r $(1)
	@touch $@
endef

$(VENV)/.runs: requirements.txt | $(VENV)/bin/python
	$(call install,requirements.txt)

$(VENV)/.tests: requirements-dev.txt requirements.txt | $(VENV)/bin/python
	$(call install,requirements-dev.txt)
	@touch $(VENV)/.runs
