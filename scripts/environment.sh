#!/bin/sh
# Installs the lock that is given, e.g. requirements.txt, into the environment VENV, which is made where it is missing:
# with uv where there is one, with pip otherwise. Both refuse a file whose hash is not in the lock.
set -eu
python=${PYTHON:-python3} venv=${VENV:-.venv} lock=$1
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || {
    echo "error: $python is $("$python" -V 2>&1 || echo missing); accepted: Python 3.11 to 3.13, e.g. make PYTHON=python3.12" >&2
    exit 1
}
"$python" -m venv "$venv"
echo "installing the $(grep -c == "$lock") packages of $lock into $venv"
install="$venv/bin/python -m pip install"
if command -v uv >/dev/null; then install="uv pip install --compile-bytecode --python $venv/bin/python"; fi
$install --quiet --no-deps --require-hashes -r "$lock" # no dependencies: the lock has all that are wanted
