# Targets of the pipeline; `make help` lists them. Each creates the environment in .venv from requirements.txt first;
# `make PYTHON=python3.12 VENV=.venv-3.12 test` tests another Python in an environment of its own.
PYTHON ?= python3
VENV ?= .venv
export PATH := $(abspath $(VENV))/bin:$(PATH)
COMPILE := uv pip compile pyproject.toml --universal --python-version 3.11 --extra dev --no-header --no-annotate --upgrade
.DEFAULT_GOAL := help
.PHONY: help demo run verify ui show experiments test torture readme bench audit lock newest cluster cluster-test

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/ready  ## all four stages on drawn faces, in a copy below outputs/: a first look without any download
	@python -m pipeline.demo

run: $(VENV)/ready  ## what params.yaml chooses, on FER-2013: dvc repro
	@sh scripts/repro.sh

verify: $(VENV)/ready  ## score the committed models again, and compare with results/
	@python -m pipeline.verify

ui: $(VENV)/ready  ## the MLflow UI on this project's runs, on this machine alone
	@python -m pipeline.ui

show: $(VENV)/ready  ## a page that shows networks at work on pictures and the camera, on this machine alone
	@python -m pipeline.show

# dvc exp show has a column for each of some 500 numbers.
COLUMNS_SHOWN := Experiment|State|val\.(accuracy|macro_f1)|training_minutes|choices\.\w+|train\.\w+|optimizer\.\w+|seed
experiments: $(VENV)/ready  ## DVC's experiments, best on val first, with what they differ in; ARGS=--md for a page
	@dvc exp show --only-changed --sort-by results/metrics.json:val.accuracy --sort-order desc \
		--drop '^(?!($(COLUMNS_SHOWN))$$)' --keep '^(val\.accuracy|training_minutes)$$' $(ARGS)

test: $(VENV)/ready  ## all tests
	@ruff check . && ruff format --check . && pytest -n 2

torture: $(VENV)/ready  ## faults made on purpose, and counted: results/torture.json, of which docs/robustness.md has the table
	@python -m tests.torture

readme: $(VENV)/ready  ## the tables of README.md, docs/ and weights/, from results/
	@python -m pipeline.readme

bench: $(VENV)/ready  ## the measurements of benchmarks/
	@python -m benchmarks

cluster: $(VENV)/cluster  ## what sweeps on several machines need besides (Ray, Slurm, PostgreSQL, S3), into the same environment

cluster-test: $(VENV)/cluster  ## a sweep on two Ray nodes of this machine, one of which is lost; ARGS=--s3 keeps files in S3
	@python -m tests.cluster $(ARGS)

audit: $(VENV)/ready  ## the locked versions, against what is known of their weaknesses
	@python scripts/audit.py

lock: $(VENV)/ready  ## newest versions that pyproject.toml allows, into requirements.txt and, with the extra, requirements-cluster.txt
	$(COMPILE) -qo requirements.txt
	$(COMPILE) --extra cluster -c requirements.txt -qo requirements-cluster.txt

newest: $(VENV)/ready  ## all tests with the newest versions that pyproject.toml allows; the lock stays as it is
	@PYTHON="$(PYTHON)" COMPILE="$(COMPILE)" sh scripts/newest.sh

$(VENV)/ready: requirements.txt
	@PYTHON="$(PYTHON)" VENV="$(VENV)" sh scripts/environment.sh

$(VENV)/cluster: requirements-cluster.txt
	@PYTHON="$(PYTHON)" VENV="$(VENV)" sh scripts/environment.sh requirements-cluster.txt
	@touch $(VENV)/cluster
