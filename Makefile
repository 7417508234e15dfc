# Targets of the checkout. All of them use .venv, which `make setup` builds from pyproject.toml.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
DOCS_STAMP := $(VENV)/.docs-stamp

# A world-writable checkout's ansible.cfg is ignored by Ansible unless it is named.
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup demo docs lint test test-docs test-browser test-faults test-slow test-vm test-twins test-containers test-package test-core-2.21 bench packages clean

help:  ## list the targets
	@awk -F':.*## ' '/^[a-z0-9.-]+:.*## /{printf "make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## build .venv with everything that the other targets use

$(STAMP): pyproject.toml tests/setup/venv.sh
	PYTHON="$(PYTHON)" bash tests/setup/venv.sh "$(VENV)"
	@touch $@

demo: $(STAMP)  ## run the main job on this machine: no GPU, no root
	ansible-playbook probe.yml -l gpu-nodes

$(DOCS_STAMP): $(STAMP)
	python -m pip install --quiet --group docs
	@touch $@

docs: $(DOCS_STAMP)  ## build the documentation's site into build/site; it needs no network to read
	sphinx-build -q -W --keep-going -n -c docs -d build/doctrees . build/site
	@echo "build/site/index.html"

packages:
	bash tests/setup/packages.sh

lint: $(STAMP)  ## ruff, mypy (strict), yamllint, ansible-lint (production), changelog
	ruff check .
	ruff format --check .
	mypy
	yamllint --strict .
	ansible-lint --offline
	antsibull-changelog lint

test: $(STAMP) packages lint  ## lint, unit tests, and a fleet of real sshd nodes
	pytest tests/unit tests/fleet -m "not slow and not faults" --durations=10

test-faults: $(STAMP) packages  ## agents, nodes and controllers that die, lie or are interrupted, and shared storage, on real sshd nodes
	pytest tests/unit tests/fleet -m faults --durations=10

test-docs: docs packages  ## the site's links, and the tutorial on real sshd nodes
	pytest tests/docs

test-browser: $(STAMP)  ## report.html in headless Chromium
	bash tests/setup/browser-packages.sh
	pytest tests/browser

test-slow: $(STAMP) packages  ## a hundred simulated nodes, silent and lost ones, jobs as AWX runs them (many minutes)
	pytest tests/fleet -m slow

TWINS := tests/vm/test_slow_node.py tests/vm/test_tiers.py

# AGAIN=--last-failed runs only what failed last.
test-vm: $(STAMP)  ## machines that reboot, in QEMU (many minutes)
	bash tests/setup/vm-packages.sh
	pytest tests/vm $(AGAIN) --ignore tests/vm/test_containers.py $(addprefix --ignore ,$(TWINS))

test-twins: $(STAMP)  ## two machines that are alike, one slow, or both mounting each other by NFS
	bash tests/setup/vm-packages.sh
	pytest $(TWINS)

test-containers: $(STAMP)  ## the same machines with podman, and servers in containers
	bash tests/setup/vm-packages.sh
	COLDPROOF_VM_EXTRA=podman,crun,conmon pytest tests/vm/test_containers.py

test-package: $(STAMP) packages  ## wheel and collection in new environments, ansible-test (needs a package index)
	pytest tests/package --timeout 1800

test-core-2.21:  ## the fleet of sshd nodes with ansible-core 2.21 and Python 3.13, in a Debian 13 root, as root
	bash tests/setup/vm-packages.sh
	bash tests/setup/debian13.sh build/debian13 bash tests/setup/core.sh 2.21 \
		pytest tests/fleet -m "not slow"

bench: $(STAMP)  ## measurements of coldproof itself
	@set -e; for script in bench/*.py; do [ -e "$$script" ] || continue; echo "== $$script"; python "$$script"; done

clean:  ## remove what the other targets built
	rm -rf $(VENV) .demo dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .ansible
