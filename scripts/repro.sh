#!/bin/sh
# dvc repro, after whatever kill: DVC empties .dvc/tmp/rwlock before it writes it anew, and, killed between the two,
# refuses to start again. Given in the checkout's root; arguments are dvc repro's.
set -eu
if [ -e .dvc/tmp/rwlock ] && [ ! -s .dvc/tmp/rwlock ]; then rm .dvc/tmp/rwlock; fi
exec dvc repro "$@"
