#!/usr/bin/env bash
# Runs a command in a new environment with another release of ansible-core:
#
#   tests/setup/core.sh RELEASE COMMAND [WORD ...]
set -euo pipefail

release=$1
shift
cd "$(dirname "$0")/../.."
venv=/var/tmp/coldproof-core-$release

bash tests/setup/venv.sh "$venv"
"$venv/bin/python" -m pip install --quiet "ansible-core~=$release.0"
export PATH="$venv/bin:$PATH" ANSIBLE_CONFIG="$PWD/ansible.cfg"
ansible --version
exec "$@"
