# Targets of the pipeline; `make help` lists them. Each creates the environment in .venv from requirements.txt first.
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
COMPILE := uv pip compile pyproject.toml --universal --python-version 3.11 --extra dev --no-header --no-annotate --upgrade
.DEFAULT_GOAL := help
.PHONY: help demo run ui show plots test readme bench lock cluster cluster-test

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: .venv/ready  ## all four stages on drawn faces, in a copy below outputs/: a first look without any download
	@python -m pipeline.demo

run: .venv/ready  ## what params.yaml chooses, on FER-2013: dvc repro
	@dvc repro

ui: .venv/ready  ## the MLflow UI on this project's runs, on this machine alone
	@python -m pipeline.ui

show: .venv/ready  ## a page that shows networks at work on pictures and the camera, on this machine alone
	@python -m pipeline.show

plots: .venv/ready  ## DVC's plots as a page that needs no network: outputs/plots/index.html
	@python -m pipeline.plots_page

test: .venv/ready  ## all tests
	@ruff check . && ruff format --check . && pytest -n 2

readme: .venv/ready  ## the recorded run's figures, from results/ into README.md
	@python -m pipeline.readme

bench: .venv/ready  ## the measurements of benchmarks/
	@python -m benchmarks

cluster: .venv/cluster  ## what sweeps on several machines need besides (Ray, Slurm, PostgreSQL, S3), into the same environment

cluster-test: .venv/cluster  ## a sweep on two Ray nodes of this machine, one of which is lost; ARGS=--s3 keeps files in S3
	@python -m tests.cluster $(ARGS)

lock: .venv/ready  ## newest versions that pyproject.toml allows, into requirements.txt and, with the extra, requirements-cluster.txt
	$(COMPILE) -qo requirements.txt
	$(COMPILE) --extra cluster -c requirements.txt -qo requirements-cluster.txt

.venv/ready: requirements.txt
	@PYTHON="$(PYTHON)" sh scripts/environment.sh

.venv/cluster: requirements-cluster.txt
	@PYTHON="$(PYTHON)" sh scripts/environment.sh requirements-cluster.txt
	@touch .venv/cluster
