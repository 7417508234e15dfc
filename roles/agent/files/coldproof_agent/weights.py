"""Which files the weights are, and the manifest by which two nodes are known to load the same."""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from coldproof_agent import cmdline
from coldproof_agent.durable import canonical
from coldproof_agent.errors import Refusal
from coldproof_agent.files import FileRef, refer, unique

_MAX_HEADER = 100_000_000  # the limit of the safetensors format itself


def find(path: str, patterns: Sequence[str] = ("*.safetensors",)) -> list[FileRef]:
    """Finds the weights below a model's path.

    Those named by ``*.index.json``, else all top-level files that match ``patterns``; a path that
    is a file is itself the weights. Links are followed: Hugging Face caches link to blobs.

    Raises:
        Refusal: nothing there, an unfinished download, or a shard that is missing.
    """
    variable = "coldproof_tiers"
    model = Path(path)
    try:
        if os.path.isfile(model):
            return [refer(path)]
        names = sorted(entry.name for entry in os.scandir(model))
    except OSError as error:
        raise Refusal(
            "weights_missing", f"{path}: {error.strerror}. Give the folder of the model.", variable
        ) from error
    unfinished = [name for name in names if name.endswith(".incomplete")]
    if unfinished:
        raise Refusal(
            "weights_incomplete",
            f"{path}/{unfinished[0]} is an unfinished download. Finish or delete it.",
            variable,
        )
    chosen = _indexed(model, names, patterns) or [
        name for name in names if any(model.joinpath(name).match(glob) for glob in patterns)
    ]
    if not chosen:
        raise Refusal(
            "weights_missing",
            f"{path} holds no {' or '.join(patterns)} and no *.index.json. "
            "Give the folder that holds the weights.",
            variable,
        )
    found = []
    for name in chosen:
        try:
            found.append(refer(str(model / name)))
        except OSError as error:
            raise Refusal(
                "weights_missing",
                f"{path}/{name}: {error.strerror}: the model is not whole.",
                variable,
            ) from error
    return unique(found)


def of(path: str, data: Mapping[str, Any]) -> list[FileRef]:
    """Finds the weights that an engine's profile means. Raises Refusal as :func:`find`."""
    if "split" not in data:
        return find(path, data["weights"])
    return unique(refer(one) for one in model_files(path, data))


def one_set(path: str, data: Mapping[str, Any], argv: Sequence[str]) -> None:
    """Refuses a folder that holds the weights twice, where the engine's version chooses.

    Args:
        path: the model's folder.
        data: the profile. ``second_set``: ``files`` of the other set, and the ``option`` that
            decides for the first one by a value that is ``decided``.
        argv: the server's arguments.

    Raises:
        Refusal: code ``weights_ambiguous``.
    """
    rule = data.get("second_set")
    if rule is None or cmdline.value(argv, rule["option"]) in rule["decided"]:
        return
    names = sorted(entry.name for entry in os.scandir(path)) if os.path.isdir(path) else []
    second = [name for name in names if Path(name).match(rule["files"])]
    first = [
        name
        for name in names
        if name not in second and any(Path(name).match(glob) for glob in data["weights"])
    ]
    if first and second:
        raise Refusal(
            "weights_ambiguous",
            f"{path} holds the weights twice ({first[0]}, {second[0]}), and which of them "
            f"{data['title']} reads depends on its version: give {rule['option'][0]} "
            f"{rule['decided'][0]}, or the path of a folder that holds one set",
            "coldproof_engine_args",
        )


def model_files(path: str, data: Mapping[str, Any]) -> list[str]:
    """Returns the files of a model that is one file, or one file in numbered parts, by their names.

    Args:
        path: the file, any of its parts, or a folder that holds no other model.
        data: the profile; ``split`` finds the part's number and their count in a name, files like
            ``not_weights`` (a projector, say) are no model.

    Raises:
        Refusal: no model there, several, or not all parts of it.
    """
    base, variable = Path(path), "coldproof_tiers"
    names = [base.name] if base.is_file() else []
    if not names:
        find(path, data["weights"])  # refuses what is missing or unfinished
        names = sorted(
            one.name
            for one in base.iterdir()
            if any(one.match(glob) for glob in data["weights"])
            and not any(one.match(glob) for glob in data.get("not_weights", ()))
        )
    folder = base.parent if base.is_file() else base
    models: dict[tuple[str, int], str] = {}
    for name in names:
        part = re.search(str(data["split"]), name)
        models.setdefault((name[: part.start()], int(part[2])) if part else (name, 0), name)
    if len(models) != 1:
        few = ", ".join(names[:4]) or "none"
        raise Refusal(
            "weights_ambiguous",
            f"{path} holds {len(models)} models ({few}): give the path of one file",
            variable,
        )
    (stem, count), name = next(iter(models.items()))
    if not count:
        return [str(folder / name)]
    ending = name[len(stem) :]
    whole = [
        str(folder / f"{stem}-{number:05d}-of-{count:05d}{Path(ending).suffix}")
        for number in range(1, count + 1)
    ]
    gone = [one for one in whole if not os.path.isfile(one)]
    if gone:
        raise Refusal(
            "weights_missing", f"{gone[0]} is not there: the model is not whole", variable
        )
    return whole


def _indexed(model: Path, names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Returns the shards that indexes name; one of another format (PyTorch's, say) is passed by."""
    found: set[str] = set()
    for name in names:
        if not name.endswith(".index.json"):
            continue
        try:
            mapped = json.loads((model / name).read_bytes())["weight_map"].values()
            shards = {str(shard) for shard in mapped}
            if any(Path(shard).match(glob) for shard in shards for glob in patterns):
                found.update(shards)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise Refusal(
                "weights_index",
                f"{model / name}: no usable weight_map ({error})",
                "coldproof_tiers",
            ) from error
    outside = [name for name in found if os.path.isabs(name) or ".." in Path(name).parts]
    if outside:
        raise Refusal(
            "weights_index",
            f"{model}: the index names {outside[0]}, outside the folder",
            "coldproof_tiers",
        )
    return sorted(found)


def header(one: FileRef) -> bytes:
    """Returns what identifies a file's content: its safetensors header, else its first MiB.

    The header is JSON behind a little-endian 64-bit length (safetensors format).

    Raises:
        Refusal: code ``weights_damaged``: a ``.safetensors`` file that is none.
    """
    with open(one.path, "rb") as opened:
        if not one.path.endswith(".safetensors") and not _looks_like_blob(one.path):
            return opened.read(1 << 20)
        start = opened.read(8)
        if len(start) < 8:
            raise Refusal(
                "weights_damaged",
                f"{one.path}: {one.size} bytes: not a safetensors file",
                "coldproof_tiers",
            )
        length = struct.unpack("<Q", start)[0]
        if length > min(_MAX_HEADER, one.size):
            raise Refusal(
                "weights_damaged",
                f"{one.path}: not a safetensors file (header of {length} bytes in {one.size})",
                "coldproof_tiers",
            )
        return opened.read(length)


def _looks_like_blob(path: str) -> bool:
    """Says whether a file without the ending is a safetensors blob of a Hugging Face cache."""
    if os.path.basename(os.path.dirname(path)) != "blobs":
        return False
    with open(path, "rb") as opened:
        start = opened.read(9)
    return len(start) == 9 and start[8:] == b"{" and struct.unpack("<Q", start[:8])[0] < _MAX_HEADER


def manifest(files: Sequence[FileRef]) -> str:
    """Returns the SHA-256 over sizes and header hashes: equal on nodes with the same weights."""
    parts: list[Any] = sorted([one.size, hashlib.sha256(header(one)).hexdigest()] for one in files)
    return hashlib.sha256(canonical(parts)).hexdigest()


def stamp(files: Sequence[FileRef]) -> list[tuple[str, int, int, int, int]]:
    """Returns what tells whether files were replaced or written: path, inode, size, ctime.

    Not mtime: whoever writes in place may set that back (``rsync --inplace --times``).

    Raises:
        OSError: one of them is gone.
    """
    found = []
    for one in files:
        info = os.stat(one.path)
        found.append((one.path, info.st_dev, info.st_ino, info.st_size, info.st_ctime_ns))
    return found


def describe(path: str, files: Sequence[FileRef]) -> dict[str, Any]:
    """Returns the form of runs.jsonl: path, files, bytes (as allocated on the device), manifest."""
    return {
        "path": path,
        "files": len(files),
        "bytes": sum(one.device_bytes for one in files),
        "logical_bytes": sum(one.size for one in files),
        "manifest": manifest(files),
    }
