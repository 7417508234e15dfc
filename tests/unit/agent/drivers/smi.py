"""Stands in for nvidia-smi: shell programs that list cards and processes."""

from __future__ import annotations

from pathlib import Path

H100 = "NVIDIA H100 80GB HBM3, {used}, 81559, 570.86, Enabled"


def card(index: int, used: object = 4) -> str:
    """Returns a line of --query-gpu."""
    return f"{index}, GPU-{index}, {H100.format(used=used)}"


def answering(gpus: list[str], apps: list[str]) -> str:
    """Returns a program that lists GPUs and processes."""
    listed, running = "\n".join(gpus), "\n".join(apps)
    return (
        f"case $1 in *query-gpu*) cat <<'E'\n{listed}\nE\n;; *) cat <<'E'\n{running}\nE\n;; esac"
        if apps
        else f"case $1 in *query-gpu*) cat <<'E'\n{listed}\nE\n;; esac"
    )


def by_files(folder: Path) -> str:
    """Returns a program that lists what files in ``folder`` say.

    The cards in ``gpus``, or those in ``during`` while the process in ``pid`` lives; and the
    processes in ``apps`` that live, or have ended, while ``linger`` holds a number: it is lowered
    each time, as a driver frees a context some time after its process.
    """
    return f"""cd {folder}; touch apps pid linger; read -r during < pid; read -r linger < linger
lives() {{ [ -d "/proc/$1" ] && ! grep -q "^State:.Z" "/proc/$1/status"; }}
lingers() {{ [ "${{linger:-0}}" -gt 0 ] && echo $((linger - 1)) > linger; }}
case $1 in
*query-gpu*) lives "${{during:-none}}" && exec cat during; exec cat gpus;;
*) while IFS=, read -r uuid pid rest; do
  if lives "${{pid# }}" || lingers; then echo "$uuid,$pid,$rest"; fi
done < apps;;
esac"""


def put(folder: Path, text: str) -> str:
    """Puts a program in nvidia-smi's place: shell text, with $1 as the query.

    Returns:
        the PATH by which it is found.
    """
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return f"{folder}:/usr/bin:/bin"
