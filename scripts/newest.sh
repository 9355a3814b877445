#!/bin/sh
# Locks the newest versions that pyproject.toml allows, says which they are, and runs all tests with them: in a clone of
# the last commit that is thrown away.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
git clone --quiet . "$folder"
cd "$folder"
make --old-file="$VENV/dev" VENV="$VENV" lock
if git diff --quiet; then
    echo "nothing that pyproject.toml allows is newer than the locks"
    exit
fi
git diff -U0 | grep '^[-+][^ ]*=='
make PYTHON="$PYTHON" test
