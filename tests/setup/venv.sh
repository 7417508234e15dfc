#!/usr/bin/env bash
# Builds the virtual environment $1 from pyproject.toml: the project (editable) and its group dev.
# Needs no root where Python has venv and pip; on Debian without python3-venv it installs that with
# apt if it may, else takes the system's pip, else says which command to run.
set -euo pipefail

venv=${1:?usage: venv.sh FOLDER}
python=${PYTHON:-python3}
cd "$(dirname "$0")/../.."

say() { printf 'setup: %s\n' "$*" >&2; }

if ! "$python" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))'; then
    say "$python is older than Python 3.11: name another one with make setup PYTHON=python3.12"
    exit 1
fi

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

can_be_root() {
    [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }
}

if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -c '' 2>/dev/null; then
    rm -rf "$venv"
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null && can_be_root \
        && command -v apt-get >/dev/null; then
        say "installing python3-venv"
        as_root apt-get update -qq
        as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
    fi
    if "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        "$python" -m venv "$venv"
    elif "$python" -m pip --version >/dev/null 2>&1; then
        "$python" -m venv --without-pip "$venv"
        # --python (pip 22.3 and later) installs into another environment.
        "$python" -m pip --python "$venv/bin/python" install --quiet pip
    else
        say "$python has neither ensurepip nor pip; run this and try again:"
        say "    apt-get install python3-venv    (as root, or with sudo)"
        exit 1
    fi
fi

# Dependency groups need pip 25.1.
"$venv/bin/python" -m pip install --quiet 'pip>=25.1'
"$venv/bin/python" -m pip install --quiet --editable . --group dev
say "$venv is ready"
