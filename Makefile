# Targets of the pipeline; `make help` lists them. Each target first installs its lock files into the environment .venv.
# `make PYTHON=python3.12 VENV=.venv-3.12 test` runs the tests with another Python, in a separate environment.
PYTHON ?= python3
VENV ?= .venv
BIN := $(abspath $(VENV))/bin
# Recipes name $(BIN)/python: macOS's make 3.81 searches the caller's PATH for a command that needs no shell.
export PATH := $(BIN):$(PATH)
COMPILE := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	--no-annotate --upgrade --quiet
.DEFAULT_GOAL := help
.PHONY: help demo run verify ui show experiments check test torture readme pictures bench export gpu cluster cluster-test audit lock newest

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*##/ { printf "%-14s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/ready  ## run the four stages on synthetic faces, in a copy below outputs/, without a download
	@$(BIN)/python -m pipeline.demo

run: $(VENV)/ready  ## run the stages with the settings of params.yaml: dvc repro
	@sh scripts/repro.sh

verify: $(VENV)/ready  ## score the committed models again, and compare the scores with results/
	@$(BIN)/python -m pipeline.verify

ui: $(VENV)/ready  ## serve the MLflow UI of this project's runs, on 127.0.0.1
	@$(BIN)/python -m pipeline.ui

show: $(VENV)/ready  ## serve a page with predictions for pictures and the camera, on 127.0.0.1
	@$(BIN)/python -m pipeline.show

# dvc exp show has a column for each number and parameter.
COLUMNS_SHOWN := Experiment|State|val\.(accuracy|macro_f1)|training_minutes|choices\.\w+|train\.\w+|optimizer\.\w+|seed
experiments: $(VENV)/ready  ## list DVC's experiments by val accuracy, with the settings that differ; ARGS=--md for Markdown
	@dvc exp show --only-changed --sort-by results/metrics.json:val.accuracy --sort-order desc \
		--hide-failed --drop '^(?!($(COLUMNS_SHOWN))$$)' --keep '^(val\.accuracy|training_minutes)$$' $(ARGS)

check: $(VENV)/dev  ## check style and types, and run the quick tests; `pre-commit install` runs it before each commit
	@ruff check . && ruff format --check . && mypy && pytest --quiet -n 2 -m "not slow and not process"

test: $(VENV)/dev  ## check style and types, and run all tests
	@ruff check . && ruff format --check . && mypy && pytest -n 2

torture: $(VENV)/dev  ## inject faults and count the survivors: results/torture.json, with its table in docs/robustness.md
	@$(BIN)/python -m tests.torture

readme: $(VENV)/ready  ## write the tables of README.md, docs/ and weights/ from results/
	@$(BIN)/python -m pipeline.readme

pictures: $(VENV)/dev  ## draw pictures of docs/: a sweep in MLflow's UI, and photographs with their predictions
	@$(BIN)/python scripts/pictures.py

bench: $(VENV)/dev  ## run the measurements of benchmarks/
	@$(BIN)/python -m benchmarks

export: $(VENV)/export  ## install the packages for .tflite and .onnx files (LiteRT, ONNX Runtime, tf2onnx)

gpu: $(VENV)/gpu  ## install NVIDIA's libraries for TensorFlow on Linux, and name the GPU that it uses: docs/machines.md
	@$(BIN)/python -c 'from pipeline.core import runtime; runtime.load_tensorflow(); print(runtime.gpu() or "no GPU found")'

cluster: $(VENV)/cluster  ## install the packages for sweeps on several machines (Ray, Slurm, PostgreSQL, S3)

cluster-test: $(VENV)/dev $(VENV)/cluster  ## run a sweep on two Ray nodes of this machine, and kill one; ARGS=--s3 stores files in S3
	@$(BIN)/python -m tests.cluster $(ARGS)

audit: $(VENV)/dev  ## check all locked versions for known vulnerabilities
	@$(BIN)/python scripts/audit.py

# The override: the Ray launcher requires cloudpickle<3 only for AWS, which is not used here.
lock: $(VENV)/dev  ## lock the newest versions that pyproject.toml allows, in requirements.txt and one file per group
	@$(COMPILE) pyproject.toml -o requirements.txt
	@$(COMPILE) --group dev -c requirements.txt -o requirements-dev.txt
	@$(COMPILE) --group export -c requirements.txt -c requirements-dev.txt -o requirements-export.txt
	@$(COMPILE) --group gpu -c requirements.txt -c requirements-dev.txt -o requirements-gpu.txt
	@echo 'cloudpickle>=3' | $(COMPILE) --group cluster -c requirements.txt --overrides /dev/stdin -o requirements-cluster.txt

newest: $(VENV)/dev  ## run all tests with the newest versions that pyproject.toml allows, without changing the locks
	@PYTHON="$(PYTHON)" VENV="$(abspath $(VENV))" sh scripts/newest.sh

INSTALL = @PYTHON="$(PYTHON)" VENV="$(VENV)" sh scripts/environment.sh $< && touch $@
$(VENV)/ready: requirements.txt
	$(INSTALL)

$(VENV)/%: requirements-%.txt $(VENV)/ready
	$(INSTALL)
