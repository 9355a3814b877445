#!/bin/sh
# Lists which versions that pyproject.toml allows are newer than the lock's, and runs all tests with them, in an
# environment that is thrown away. COMPILE is the Makefile's command that resolves them.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
$COMPILE -qo "$folder/requirements.txt"
awk -F' *==| *;' 'NR == FNR { had[$1] = $2; next }
                  had[$1] != $2 { print $1, (had[$1] ? had[$1] : "not in the lock") " -> " $2 }' \
    requirements.txt "$folder/requirements.txt" | tee "$folder/newer"
if [ ! -s "$folder/newer" ]; then
    echo "nothing that pyproject.toml allows is newer than the lock"
    exit
fi
VENV="$folder/venv" sh scripts/environment.sh "$folder/requirements.txt"
make VENV="$folder/venv" test
