"""What in a text points at somebody: addresses, hosts, accounts, identifiers, paths."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from coldproof.bundle.pseudonyms import Pseudonyms

URL = re.compile(r"\b([a-z][a-z0-9+.-]{0,30})://([^\s'\"<>]*)", re.IGNORECASE)
ACCOUNT = re.compile(r"(?<![\w/@])[A-Za-z_][\w.+-]{0,64}@[A-Za-z0-9][\w.-]*\w")
EXPORT = re.compile(r"(?<![\w/.-])([A-Za-z][\w.-]*):(?=/[A-Za-z])")
HOST = re.compile(
    r"(?<![\w./-])(?:[A-Za-z0-9_-]+\.)+(?:com|net|org|io|ai|co|dev|cloud|app|edu|gov|mil|int|eu|de"
    r"|fr|uk|nl|ch|at|it|es|pl|se|no|fi|jp|cn|in|us|ca|au|br|internal|local|localdomain|lan|corp"
    r"|home|intra|intranet|private|example|test|invalid|arpa)(?![\w-]|\.\w)",
    re.IGNORECASE,
)
IPV4 = re.compile(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w]|\.[0-9])")
IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")
MAC = re.compile(r"(?<![\w:-])(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}(?![\w:-])")
UUID = re.compile(r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}")
HEX = re.compile(r"(?<![\w-])[0-9A-Fa-f]{32,}(?![\w-])")
PATH = re.compile(r"(?<![\w.)}~/-])/(?!/)[^\s'\",;:=()\[\]{}<>|`\\]+")
ROUTE = re.compile(r"(?:Route: |(?:GET|POST|PUT|HEAD|DELETE|PATCH) )$")
SYSTEM = re.compile(
    r"/(?:bin|sbin|lib|lib64|proc|sys|etc|usr/(?:bin|sbin|lib|lib64|share|include)"
    r"|usr/local/(?:bin|sbin|lib|lib64|cuda[\w.-]*|nvidia))(?:/.*)?"
    r"|/dev/(?:null|zero|shm|(?:sd|vd|xvd|nvme|md|loop|dm-|nvidia)[\w-]*)"
)
PACKAGES = re.compile(r"/(?:site|dist)-packages(?:/.*)?$")
FILE = re.compile(
    r"/(?:[\w-]+\.py|config\.json|(?:generation_config|tokenizer\w*|model)\.json"
    r"|model(?:-[0-9]+-of-[0-9]+)?\.safetensors(?:\.index\.json)?)$"
)
LOCAL = re.compile(r"(?:localhost|127\.[0-9.]+|0\.0\.0\.0|\[::1?\])(?::[0-9]+)?(?:/.*)?")
PUBLIC = ("github.com", "huggingface.co", "pytorch.org", "python.org", "nvidia.com", "vllm.ai")


def point_away(text: str, given: Pseudonyms) -> str:
    """Return `text` with all of these replaced, but for paths and names (they come before)."""
    text = ACCOUNT.sub(lambda found: given.of("account", found[0]), text)
    text = EXPORT.sub(lambda found: f"{given.of('host', found[1])}:", text)
    text = HOST.sub(lambda found: _host(found[0], given), text)
    text = MAC.sub(lambda found: given.of("id", found[0]), text)
    for pattern in (IPV4, IPV6):
        text = pattern.sub(lambda found: _address(found[0], given), text)
    return UUID.sub(lambda found: given.of("id", found[0]), text)


def identifiers(text: str, given: Pseudonyms, known: Callable[[str], bool]) -> str:
    """Return `text` without long hexadecimal words, but for those that are `known` as hashes."""
    return HEX.sub(lambda f: f[0] if known(f[0]) else given.of("id", f[0]), text)


def urls(text: str, given: Pseudonyms) -> str:
    """Return `text` without the hosts of URLs and what follows them; local ones stay."""

    def shown(found: re.Match[str]) -> str:
        scheme, rest = found[1], found[2]
        if LOCAL.fullmatch(rest) or not rest:
            return found[0]
        place = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
        host, colon, port = place.rpartition(":")
        host, port = (host, f":{port}") if colon and port.isdigit() else (place, "")
        shown = _address(host, given)
        return f"{scheme}://{_host(host, given) if shown == host else shown}{port}"

    return URL.sub(shown, text)


def paths(text: str, given: Pseudonyms, known: tuple[str, ...]) -> str:
    """Return `text` without paths that not every system has; `known` are folders to tell apart."""

    def shown(found: re.Match[str]) -> str:
        path = found[0].rstrip(".")  # the end of a sentence
        dots = found[0][len(path) :]
        if SYSTEM.fullmatch(path) or ROUTE.search(text, max(0, found.start() - 12), found.start()):
            return found[0]
        return f"{_path(path, given, known)}{dots}"

    return PATH.sub(shown, text)


def _path(path: str, given: Pseudonyms, known: tuple[str, ...]) -> str:
    tail = PACKAGES.search(path) or FILE.search(path)
    folder = path[: tail.start()] if tail else path.rstrip("/")
    rest = tail[0] if tail else ""
    above = next((one for one in known if folder == one or folder.startswith(f"{one}/")), None)
    if above is not None and above != folder:
        return f"/{given.of('path', above)}/{given.of('path', folder)}{rest}"
    return f"/{given.of('path', folder)}{rest}"


def _host(name: str, given: Pseudonyms) -> str:
    bare = name.lower()
    if any(bare == one or bare.endswith(f".{one}") for one in PUBLIC):
        return name
    return given.of("host", name)


def _address(text: str, given: Pseudonyms) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text
    if address.is_loopback or address.is_unspecified:
        return text
    return given.of("address", text)
