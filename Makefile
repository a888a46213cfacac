# Everything runs from here. Needed: Python 3.11 or later, and make.
.DEFAULT_GOAL := help
.PHONY: help demo demo-clean lab test test-unit check lint types contracts docs docs-check site changelog matrix docker engines fleet dist package release bench fuzz kill attack lock instances releases clean

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
LOCK   := --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Each worker, and each program that a test starts, would compile all modules.
unexport PYTHONDONTWRITEBYTECODE

# Tests wait for servers and clocks for half of their time, so there are more workers than two
# processors. A file is not divided: its fixtures are made once.
WORKERS  ?= 4
PARALLEL := -n $(WORKERS) --dist loadfile --no-loadscope-reorder

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "make: Python 3.11 or later is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo.installed: requirements/demo.txt requirements/build.txt pyproject.toml pgiostat/__init__.py | $(BIN)/python
	$(INSTALL) --require-hashes -r requirements/demo.txt -r requirements/build.txt
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.installed: requirements/dev.txt pyproject.toml pgiostat/__init__.py | $(BIN)/python
	$(INSTALL) --require-hashes -r requirements/dev.txt
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/engines.installed: requirements/engines.txt $(VENV)/dev.installed
	$(INSTALL) --require-hashes -r requirements/engines.txt
	@touch $@

$(VENV)/release.installed: requirements/release.txt $(VENV)/dev.installed
	$(INSTALL) --require-hashes -r requirements/release.txt
	@touch $@

demo: $(VENV)/demo.installed ## watch an embedded PostgreSQL with a workload; DEMO='--scenario shop'
	@$(BIN)/pgiostat demo $(DEMO)

demo-clean: $(VENV)/demo.installed ## remove the demo's server and data
	@$(BIN)/pgiostat demo --clean

lab: $(VENV)/demo.installed ## the whole investigation: nine experiments in one table
	@$(BIN)/pgiostat lab run --quick --again --check --out build/lab

test: $(VENV)/dev.installed ## all tests, on the embedded PostgreSQL 18; WORKERS=0 for one process
	$(BIN)/python -m pytest $(PARALLEL) $(TEST)

test-unit: $(VENV)/dev.installed ## tests/unit and the examples in docstrings, without a server
	$(BIN)/python -m pytest $(PARALLEL) -m 'not server and not exhaustive' tests/unit pgiostat $(TEST)

check: lint types contracts docs-check test ## everything that a commit must pass

lint: $(VENV)/dev.installed ## ruff: format and rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/dev.installed ## mypy, strict
	$(BIN)/mypy

contracts: $(VENV)/dev.installed ## the allowed imports between packages
	$(BIN)/lint-imports

docs: $(VENV)/dev.installed ## write the generated pages
	$(BIN)/python -m tests.generated_docs

docs-check: $(VENV)/dev.installed ## fail if the generated pages are out of date
	$(BIN)/python -m tests.generated_docs --check

site: $(VENV)/dev.installed ## the documentation as a site, in build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

changelog: $(VENV)/dev.installed ## move the fragments of changelog.d into CHANGELOG.md
	$(BIN)/python -m tests.changelog

matrix: $(VENV)/dev.installed ## server tests on PostgreSQL 13 to 19 (needs npm and apt)
	$(BIN)/python -m pytest $(PARALLEL) -m server --servers npm $(MATRIX)

docker: $(VENV)/dev.installed ## server tests in a container (needs a Docker daemon)
	$(BIN)/python -m pytest -m 'server or container' --servers docker $(DOCKER)

engines: $(VENV)/engines.installed ## the queries of a history on Spark (needs Java 17 or later) and ClickHouse
	$(BIN)/python -m pytest -m engines

fleet: $(VENV)/dev.installed ## many servers: metrics scraped by Prometheus (needs it and promtool)
	$(BIN)/python -m pytest -m fleet

dist: $(VENV)/release.installed ## build wheel and sdist into dist/, check them, and list their components
	rm -rf dist
	$(BIN)/python -m hatchling build -d dist
	$(BIN)/twine check --strict dist/*
	$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible \
		--output-file dist/sbom.cdx.json requirements/fleet.txt

package: dist ## install what dist builds into fresh environments of each Python there is
	$(BIN)/python -m pytest -m packaging $(TEST)

release: dist ## dist, for a tag that must name the version: TAG=v0.2.0
	@test "$(TAG)" = "v$$($(BIN)/python -m hatchling version)" || { echo 'make: TAG does not name the version' >&2; exit 1; }

bench: $(VENV)/dev.installed ## measure, side by side in one run
	$(BIN)/python benchmarks/snapshot.py --quick
	$(BIN)/python benchmarks/history.py --quick
	$(BIN)/python benchmarks/watch.py --quick

fuzz: $(VENV)/dev.installed ## normalize many generated texts
	FUZZ_EXAMPLES=50000 FUZZ_TEXTS=1000000 $(BIN)/pytest -q -p no:randomly tests/unit/queries/test_scanner.py tests/unit/queries/test_fingerprint.py tests/unit/queries/test_features.py tests/unit/queries/test_secrets.py tests/unit/test_escape.py

attack: $(VENV)/dev.installed ## attack pgiostat from outside; ATTACK='--quick', '--write' or names of attacks (needs npm)
	$(BIN)/python -m tests.attack $(ATTACK)

kill: $(VENV)/dev.installed ## kill a collector 200 times and an uploader 50 times, and check the rest
	KILLS=200 $(BIN)/pytest -q tests/service/test_kill.py
	$(BIN)/pytest -q tests/service/test_shipping.py -k killed

instances: $(VENV)/dev.installed ## write the limits of EC2's instance types, from the copy in moto
	$(BIN)/python -m tests.instance_types

releases: $(VENV)/dev.installed ## write PostgreSQL's releases, and check their faults: NOTES='DIRECTORY ...' of release notes as HTML
	$(BIN)/python -m tests.releases $(NOTES)

lock: $(VENV)/dev.installed ## write requirements/ from pyproject.toml
	$(BIN)/uv pip compile $(LOCK) --extra demo -o requirements/demo.txt pyproject.toml
	$(BIN)/uv pip compile $(LOCK) --extra fleet -c requirements/demo.txt -o requirements/fleet.txt pyproject.toml
	$(BIN)/uv pip compile $(LOCK) --extra all --group dev -c requirements/demo.txt -o requirements/dev.txt pyproject.toml
	$(BIN)/uv pip compile $(LOCK) --extra spark --group engines -c requirements/dev.txt -o requirements/engines.txt pyproject.toml
	$(BIN)/uv pip compile $(LOCK) --group release -c requirements/dev.txt -o requirements/release.txt
	printf 'hatchling\neditables\n' | $(BIN)/uv pip compile $(LOCK) -c requirements/dev.txt -o requirements/build.txt -

clean: ## remove the files that make created here
	rm -rf $(VENV) dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage
