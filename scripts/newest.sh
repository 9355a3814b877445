#!/bin/sh
# Lists which versions that pyproject.toml allows are newer than the lock's, and runs all tests with them, in an
# environment that is thrown away. COMPILE is the Makefile's command that resolves them.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
$COMPILE -qo "$folder/requirements.txt"
# A package may have several lines, each for other versions of Python: those that are for the same ones are compared.
awk -F'==' '{ split($2, part, " *; *"); key = $1 ";" part[2] }
            NR == FNR { had[key] = part[1]; next }
            had[key] != part[1] { print $1, (had[key] ? had[key] : "not in the lock") " -> " part[1] }' \
    requirements.txt "$folder/requirements.txt" | tee "$folder/newer"
if [ ! -s "$folder/newer" ]; then
    echo "nothing that pyproject.toml allows is newer than the lock"
    exit
fi
VENV="$folder/venv" sh scripts/environment.sh "$folder/requirements.txt"
make VENV="$folder/venv" test
