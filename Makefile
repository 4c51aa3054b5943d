# Two commands for people: `make demo` and `make test`. The rest is for those who build.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := .stamps
# many tests wait for a clock or another process: one more than there are processors
WORKERS ?= $(shell echo $$(($$(nproc) + 1)))

.PHONY: help demo test test-provisioning check format wheel ansible bundle bench bench-instructions lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

demo: $(STAMPS)/demo-system $(STAMPS)/build $(STAMPS)/assets ## everything on this machine, with simulated meters and real load curves
	@exec $(BIN)/metergate demo

test: $(STAMPS)/test-system $(STAMPS)/provision check ## all checks and all tests
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadgroup tests

test-provisioning: $(STAMPS)/provisioning-system $(STAMPS)/build $(STAMPS)/assets $(STAMPS)/provision ## roles and playbooks on virtual machines: an hour where there is no KVM
	METERGATE_VM=1 $(BIN)/python -m pytest -q --durations=0 --durations-min=30 tests/provisioning

check: $(STAMPS)/build $(STAMPS)/assets ## style, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy provisioning/bundle.py provisioning/pki/authority.py provisioning/test_plugins/metergate.py provisioning/action_plugins/*.py
	$(BIN)/lint-imports

format: $(STAMPS)/build ## put the source in its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

wheel: $(STAMPS)/build $(STAMPS)/assets ## a wheel for this machine's Python in dist/ (METERGATE_PURE=1: for any)
	$(BIN)/python -m pip wheel --disable-pip-version-check -q --no-deps --no-build-isolation -w dist .

ansible: $(STAMPS)/provision ## Ansible for provisioning/, in .venv-provision

bundle: wheel ## what machines without a registry need, in build/bundle/ (MACHINE=aarch64: for another processor)
	for part in edge central; do $(BIN)/python provisioning/bundle.py $$part --wheel $$(ls -t dist/metergate-*.whl | head -n 1) \
	    --machine $(or $(MACHINE),x86_64) --output build/bundle/$$part; done

bench: $(STAMPS)/build ## measure, side by side with peers; tables and plot go to benchmarks/
	@mkdir -p build
	$(BIN)/python -m pytest benchmarks -q -p no:xdist --benchmark-sort=name --benchmark-json=build/benchmarks.json
	$(BIN)/python -m benchmarks.report build/benchmarks.json

bench-instructions: $(STAMPS)/build ## count the kernels' instructions (valgrind) and name what grew
	$(BIN)/python -m benchmarks.instructions --check

lock: $(STAMPS)/build ## new versions into requirements/ (needs uv in the environment)
	for part in edge central; do $(BIN)/uv pip compile -q --no-header --no-annotate --no-emit-index-url --universal \
	    --python-version 3.11 --extra $$part pyproject.toml -o requirements/$$part.txt --upgrade; done
	$(BIN)/uv pip compile -q --no-header --no-annotate --no-emit-index-url --universal --python-version 3.11 \
	    --extra edge --extra central --extra demo --extra field --extra provision --extra dev pyproject.toml -o requirements/all.txt --upgrade
	$(BIN)/uv pip compile -q --no-header --no-annotate --no-emit-index-url --universal --python-version 3.11 \
	    --extra ansible pyproject.toml -o requirements/provision.txt --upgrade

clean: ## all that can be made again
	rm -rf $(VENV) .venv-provision $(STAMPS) build dist demo-data ext/*.so central/web/static/vendor

$(STAMPS)/demo-system $(STAMPS)/test-system $(STAMPS)/provisioning-system: $(STAMPS)/%-system: tools/system-packages
	@tools/system-packages $*
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/venv: requirements/all.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check -q -r requirements/all.txt
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/provision: requirements/provision.txt
	$(PYTHON) -m venv .venv-provision
	.venv-provision/bin/pip install --disable-pip-version-check -q -r requirements/provision.txt
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/build: $(STAMPS)/venv pyproject.toml $(wildcard ext/*.py ext/*.p[xy][dxi])
	METERGATE_PURE=$$(tools/can-compile $(BIN)/python || echo 1) \
	    $(BIN)/pip install --disable-pip-version-check -q --no-deps --no-build-isolation -e .
	@touch $@

$(STAMPS)/assets: $(STAMPS)/build $(wildcard central/web/assets/*) requirements/assets.txt
	@command -v npm >/dev/null || $(BIN)/pip install --disable-pip-version-check -q -r requirements/assets.txt
	$(BIN)/python -m central.web.assets
	@touch $@
