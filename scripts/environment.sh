#!/bin/sh
# Creates the environment VENV, .venv without it, with the exact versions of requirements.txt, or of the lock that is
# named instead: with uv where it is installed or can be had from the lock, with pip otherwise.
set -eu
lock=${1:-requirements.txt}
python=${PYTHON:-python3}
venv=${VENV:-.venv}
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || {
    echo "error: $python is $("$python" -V 2>&1 || echo missing); accepted: Python 3.11 to 3.13, e.g. make PYTHON=python3.12" >&2
    exit 1
}
rm -f "$venv/ready"
if command -v uv >/dev/null 2>&1; then
    uv venv --quiet --allow-existing --python "$(command -v "$python")" "$venv"
    uv=uv
else
    "$python" -m venv "$venv"
    "$venv/bin/pip" install --quiet "$(grep '^uv==' "$lock")" && uv=$venv/bin/uv || uv=
fi
echo "installing $(grep -c == "$lock") packages into $venv"
if [ -n "$uv" ] && "$uv" pip install --quiet --compile-bytecode --python "$venv/bin/python" -r "$lock"; then
    :
else
    echo "uv could not install them; trying pip"
    [ -x "$venv/bin/pip" ] || "$python" -m venv "$venv"
    "$venv/bin/pip" install --quiet --no-deps -r "$lock"  # the lock is complete, and pip knows no overrides
fi
touch "$venv/ready"
