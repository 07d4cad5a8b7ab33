# Every target works on a fresh clone that has only make and Python 3.11+ with the venv module.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help compiled run test check lint bench fidelity soak screenshots protos clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

compiled: $(VENV)/.installed  # importing from source halves the speed of every program of the stack, the more so under ptrace
	@$(BIN)/python -m compileall -q tracer runtime

run: compiled  ## step through a live `docker run` in the TUI (or replay one where live is impossible)
	$(BIN)/glassbottom run -i -t --name alpine hostbox sh

test: lint compiled  ## format, lint, types, import contracts and every test
	$(BIN)/pytest -n 2 --dist loadfile  # tests of one file share stacks, and look for what is left on the host

check: test  ## the same as test

lint: $(VENV)/.installed-dev  ## format, lint, types and import contracts only
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.installed-dev compiled  ## paired timings against strace and the real docker (needs root and both)
	$(BIN)/python tests/bench.py

fidelity: $(VENV)/.installed-dev  ## write runtime/FIDELITY.md: how far each docker command is as dockerd's
	$(BIN)/python -m tests.swap.fidelity

soak: $(VENV)/.installed-dev compiled  ## 1,000 runs, and 200 kill -9 of each program: is anything left? (root; an hour)
	$(BIN)/python tests/soak.py

screenshots: $(VENV)/.installed-dev  ## drive the app over its recording and write SVG and PNG
	$(BIN)/python screenshots/export.py

protos: $(VENV)/.installed-dev  ## regenerate runtime/api/containerd/*_pb2.py from the .proto files
	$(BIN)/python -m grpc_tools.protoc -I . --python_out=. --pyi_out=. runtime/api/containerd/*.proto

clean:  ## remove the private environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
