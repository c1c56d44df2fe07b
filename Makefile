# make help says what there is.  Everything runs in .venv, made from the system's Python on first use.
SHELL := /bin/bash
PYTHON_IN_VENV := .venv/bin/python
MINUTES ?= 10
TESTS ?= tests
CONNECTIONS ?= 1000000

.DEFAULT_GOAL := help
.PHONY: help venv setup demo test lint format typecheck coverage pages fuzz bench soak soak-hostile clean

help:           ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 20

setup:          ## .venv with the package and its test tools
	@.ci/bootstrap test

venv:           ## the same with ruff and mypy
	@.ci/bootstrap dev

demo:           ## a cluster of three nodes on this machine: pods, routes, pings, a node's death (under a minute)
	@.ci/bootstrap test
	@$(PYTHON_IN_VENV) -m examples.demo

test:           ## every test (TESTS=path for some); as root it first installs the peers and User-Mode Linux by apt
	@.ci/bootstrap test
	@.ci/system-packages test
	@$(PYTHON_IN_VENV) -m pytest $(TESTS)

coverage: venv  ## which lines and branches of pybgp/wire and pybgp/session the suites beside them run
	@.ci/coverage

lint: venv      ## ruff (rules and layout), then mypy --strict
	@$(PYTHON_IN_VENV) -m ruff check . && $(PYTHON_IN_VENV) -m ruff format --check . && $(MAKE) --no-print-directory typecheck

format: venv
	@$(PYTHON_IN_VENV) -m ruff check --fix . ; $(PYTHON_IN_VENV) -m ruff format .

typecheck: venv ## mypy --strict
	@$(PYTHON_IN_VENV) -m mypy --strict

pages: setup    ## the pages that are printed from code: state machine, library, programs of the guide
	@for page in state_machine_page library_page code_pages; do $(PYTHON_IN_VENV) -m tests.docs.$$page || exit 1; done

fuzz: setup     ## every fuzz target, MINUTES=10 in all
	@$(PYTHON_IN_VENV) -m fuzz --seconds $$(($(MINUTES) * 60))

bench: setup    ## the benchmarks, beside BIRD where it is installed (root)
	@.ci/system-packages test
	@$(PYTHON_IN_VENV) -m tests.benchmarks

soak: setup     ## 5,000 route changes a second with flapping peers, for MINUTES=30; memory and tables are checked
	@$(PYTHON_IN_VENV) -m tests.soak.churn --minutes $(if $(filter file default,$(origin MINUTES)),30,$(MINUTES))

soak-hostile: setup ## CONNECTIONS=1000000 garbage and half-open connections; rate, memory, and what became of the other session
	@$(PYTHON_IN_VENV) -m tests.soak.hostile --connections $(CONNECTIONS)

clean:          ## everything that the targets above made
	rm -rf .venv .venv-peers .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
