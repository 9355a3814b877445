# Targets of the pipeline; `make help` lists them. Each first installs the locks it needs into the environment .venv;
# `make PYTHON=python3.12 VENV=.venv-3.12 test` tests another Python in an environment of its own.
PYTHON ?= python3
VENV ?= .venv
export PATH := $(abspath $(VENV))/bin:$(PATH)
COMPILE := uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	--no-annotate --upgrade --quiet
.DEFAULT_GOAL := help
.PHONY: help demo run verify ui show experiments check test torture readme bench export cluster cluster-test audit lock newest

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

check: $(VENV)/dev  ## style, types and the quick tests, in less than a minute; `pre-commit install` runs it before each commit
	@ruff check . && ruff format --check . && mypy && pytest --quiet -m "not slow and not process"

test: $(VENV)/dev  ## style, types and all tests
	@ruff check . && ruff format --check . && mypy && pytest -n 2

torture: $(VENV)/dev  ## faults made on purpose, and counted: results/torture.json, of which docs/robustness.md has the table
	@python -m tests.torture

readme: $(VENV)/ready  ## the tables of README.md, docs/ and weights/, from results/
	@python -m pipeline.readme

bench: $(VENV)/dev  ## the measurements of benchmarks/
	@python -m benchmarks

export: $(VENV)/export  ## what .tflite and .onnx files need (LiteRT, ONNX Runtime, tf2onnx), into the same environment

cluster: $(VENV)/cluster  ## what sweeps on several machines need (Ray, Slurm, PostgreSQL, S3), into the same environment

cluster-test: $(VENV)/dev $(VENV)/cluster  ## a sweep on two Ray nodes of this machine, one of which is lost; ARGS=--s3 keeps files in S3
	@python -m tests.cluster $(ARGS)

audit: $(VENV)/dev  ## the versions of all locks, against their known vulnerabilities
	@python scripts/audit.py

# The override: the Ray launcher's bound, cloudpickle<3, is for its AWS half; its other half does not import it.
lock: $(VENV)/dev  ## newest versions that pyproject.toml allows, into requirements.txt and one more lock for each of its groups
	@$(COMPILE) pyproject.toml -o requirements.txt
	@$(COMPILE) --group dev -c requirements.txt -o requirements-dev.txt
	@$(COMPILE) --group export -c requirements.txt -c requirements-dev.txt -o requirements-export.txt
	@echo 'cloudpickle>=3' | $(COMPILE) --group cluster -c requirements.txt --overrides /dev/stdin -o requirements-cluster.txt

newest: $(VENV)/dev  ## all tests with the newest versions that pyproject.toml allows; the locks stay as they are
	@PYTHON="$(PYTHON)" VENV="$(abspath $(VENV))" sh scripts/newest.sh

INSTALL = @PYTHON="$(PYTHON)" VENV="$(VENV)" sh scripts/environment.sh $< && touch $@
$(VENV)/ready: requirements.txt
	$(INSTALL)

$(VENV)/%: requirements-%.txt $(VENV)/ready
	$(INSTALL)
