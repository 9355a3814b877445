#!/bin/sh
# Installs the lock that is given, e.g. requirements.txt, into the environment VENV, which is made where it is missing:
# with the user's uv where there is one, with pip otherwise. Both refuse a file whose hash is not in the lock.
set -eu
python=${PYTHON:-python3} venv=${VENV:-.venv} lock=$1
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || {
    echo "error: $python is $("$python" -V 2>&1 || echo missing); accepted: Python 3.11 to 3.13, e.g. make PYTHON=python3.12" >&2
    exit 1
}
# Not the uv of the developers' lock, which make has first on PATH: it reads neither pip's settings nor, without a
# setting, the system's certificates.
case $venv in /*) bin=$venv/bin ;; *) bin=$PWD/$venv/bin ;; esac
uv=$(PATH=${PATH#"$bin:"} && command -v uv) || uv=''
pip='' # Colab, and Debian without python3-venv, have no ensurepip, from which pip comes; uv needs no pip
if [ "$uv" ] && ! "$python" -c 'import ensurepip' 2>/dev/null; then pip=--without-pip; fi
"$python" -m venv $pip "$venv"
echo "installing the $(grep -c == "$lock") packages of $lock into $venv"
install="$venv/bin/python -m pip install"
if [ "$uv" ]; then install="$uv pip install --compile-bytecode --python $venv/bin/python"; fi
$install --quiet --no-deps --require-hashes -r "$lock" # no dependencies: the lock has all that are wanted
