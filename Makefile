# `make` prints what there is. Every target first sets up what it needs: the service environment in .venv, the runner
# environment in the launcher's cache. None changes the system.
# ARGS goes to the program behind the target: make test ARGS="-k webhook", make serve ARGS="--config my.yaml".

SHELL := /bin/bash
PY := .venv/bin/python
# What calls uv calls it with the package index that pip is configured with.
WITH_REGISTRY := requirements/registry
ARGS ?=
# Processes that run tests.
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help environment runner demo peers test unit bench lint format docs serve lock image sbom fresh

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

environment: ## the service environment in .venv, from hashed requirements
	@requirements/install

runner: environment ## the runner environment of MLRun (Python 3.9), in the launcher's cache
	@$(WITH_REGISTRY) $(PY) -m service.launchers.process

demo: environment ## the main job on a real repository, from a push to a run; ARGS=--keep leaves it up
	@$(WITH_REGISTRY) $(PY) -m service demo $(ARGS)

peers: environment ## the real peers that tests use: makes what can be made, says how to get the rest
	@$(WITH_REGISTRY) $(PY) -m tests.peers

test: environment ## every test this machine can run; REQUIRE_PEERS=all: a missing peer fails; FAULTS=N: kill loops of N
	@$(WITH_REGISTRY) $(PY) -m tests.peers --quiet
	@$(WITH_REGISTRY) $(PY) -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

unit: environment ## the tests that need no peer
	@$(PY) -m pytest -n $(WORKERS) --dist loadfile tests/unit $(ARGS)

bench: environment ## how fast it is, as ratios; ARGS picks figures; writes build/bench.json
	@$(WITH_REGISTRY) $(PY) -m tests.peers --quiet
	@$(PY) -m tests.bench $(ARGS)

lint: environment ## style, types, import rules, and that requirements and pages agree with the code
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(PY) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()' --no-logo
	@$(PY) -m pytest tests/unit/house

format: environment ## put the code into its one format
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

docs: environment ## the reference pages anew, from the code; `make lint` fails while one is not current
	@$(PY) -m docs.generate

serve: environment ## a service on loopback
	@$(WITH_REGISTRY) $(PY) -m service serve $(ARGS)

lock: environment ## the hashed requirements anew, from requirements/*.in; ARGS=--upgrade takes the newest releases
	@requirements/lock $(ARGS)

image: ## the container image, with docker, podman or buildah; IMAGE=name, BASE=python:3.11-slim-bookworm@sha256:...
	@image/build $(ARGS)

sbom: environment ## what is in the image, as CycloneDX in build/sbom.json
	@$(PY) image/sbom.py $${IMAGE:-mlrun-gitops:$$(sed -n 's/^version = "\(.*\)"$$/\1/p' pyproject.toml)} build/sbom.json

fresh: ## a fresh clone in a bare container, where `make test` is the first command ever run (root; Debian's tools)
	@tests/fresh/run $(ARGS)
