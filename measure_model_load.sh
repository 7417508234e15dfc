#!/usr/bin/env bash
# One start of the server on this host, without Ansible: appends a row to storage_load_bench.csv.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: MODEL_PATH=/srv/models/x ./measure_model_load.sh cold|warm|prime [option of the agent ...]

Starts the inference server once, times it until it is ready, ends it, and appends a row to
storage_load_bench.csv in this folder. cold takes the weights and the engine's files out of the
page cache first (nobody else's pages are touched); warm leaves everything as it is: run it
right after cold. The row says whether that state was proven.

environment:
  MODEL_PATH       the model's folder (needed)
  MODEL            its name in the report (default: the folder's name)
  MAX_MODEL_LEN    tokens (default 2048)
  ENGINE           vllm (default), vllm-module, reference
  ENGINE_PYTHON    interpreter that has the engine (default: python3 of the PATH)
  COLD_METHOD      evict (default), or drop_caches (root; drops the whole host's page cache)
  CSV              the file to append to (default storage_load_bench.csv)

More options: ./measure_model_load.sh cold --help
TEXT
}

case "${1:-}" in
cold | warm | prime) ;;
-h | --help)
    usage
    exit 0
    ;;
*)
    usage >&2
    exit 2
    ;;
esac
if [ -z "${MODEL_PATH:-}" ] && [[ " $* " != *" --help "* ]]; then
    echo "measure_model_load.sh: MODEL_PATH is not set: give the model's folder" >&2
    exit 2
fi

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
options=(
    --model-path "${MODEL_PATH:-}"
    --model "${MODEL:-$(basename -- "${MODEL_PATH:-model}")}"
    --max-model-len "${MAX_MODEL_LEN:-2048}"
    --engine "${ENGINE:-vllm}"
    --cold-method "${COLD_METHOD:-evict}"
    --csv "${CSV:-storage_load_bench.csv}"
)
if [ -n "${ENGINE_PYTHON:-}" ]; then options+=(--engine-python "$ENGINE_PYTHON"); fi
PYTHONPATH="$here/roles/agent/files${PYTHONPATH:+:$PYTHONPATH}" PYTHONDONTWRITEBYTECODE=1 \
    exec python3 -m coldproof_agent measure "$1" "${options[@]}" "${@:2}"
