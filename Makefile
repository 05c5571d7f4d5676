# `make test`, `make demo`, `make e2e`, `make bench`, `make down`: each sets up what it needs.
SHELL := /bin/bash
PYTHON := python3.11
VENV := .venv
RUN := $(VENV)/bin/python
UV_VERSION := 0.13.9
CODE := operator tests e2e

.PHONY: setup lint type test demo e2e bench down generate lock clean

setup: $(VENV)/.ready

# The lock has hashes and names no index: it works with any mirror.
$(VENV)/.ready: requirements-dev.lock
	$(PYTHON) -c 'import ensurepip' || apt-get install -y -q python3-venv
	$(PYTHON) -m venv --clear $(VENV)
	$(PYTHON) -m venv build/uv
	build/uv/bin/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION)
	VIRTUAL_ENV=$(VENV) build/uv/bin/uv pip sync -q --require-hashes requirements-dev.lock
	echo "$(CURDIR)/operator" > $$($(RUN) -c 'import site; print(site.getsitepackages()[0])')/ondol.pth
	touch $@

lint: setup
	$(VENV)/bin/ruff format --check $(CODE)
	$(VENV)/bin/ruff check $(CODE)
	$(VENV)/bin/lint-imports --no-cache

type: setup
	$(VENV)/bin/mypy $(CODE)

# Formatting, lint, types, import contracts, CRD drift, unit tests, and tests against a real
# kube-apiserver and a real LiteLLM. KUBEBUILDER_ASSETS names the folder of etcd and
# kube-apiserver; without it they are built once and cached.
test: lint type
	PATH="$(CURDIR)/build/uv/bin:$$PATH" $(RUN) -m pytest tests

# The whole service on this machine; CLUSTER=kind for kind.
demo:
	$(PYTHON) -m e2e.demo

# The whole chain in the real cluster. KEEP=1 leaves the cluster up.
e2e: setup
	@status=0; $(RUN) -m pytest e2e || status=$$?; \
	if [ -z "$(KEEP)" ]; then $(PYTHON) -m e2e.cluster down || status=$$?; fi; exit $$status

# Against a real API server; writes build/bench.json.
bench: setup
	$(RUN) -m e2e.bench e2e/bench/ondol.yaml --out build/bench.json

# Stop the local cluster; the cache (see `make clean`) stays.
down:
	$(PYTHON) -m e2e.cluster down

# CRDs from the models.
generate: setup
	$(RUN) -m ondol.api.crd crds

# Locks from pyproject.toml.
lock: setup
	build/uv/bin/uv export -q --no-dev --no-emit-project --no-header --no-annotate -o requirements.lock
	build/uv/bin/uv export -q --no-emit-project --no-header --no-annotate -o requirements-dev.lock

clean: down
	rm -rf build $(VENV) "$${ONDOL_CACHE:-$$HOME/.cache/ondol}"
