#!/usr/bin/env bash
# Installs the Debian packages that tests/browser needs and that are missing here: Chromium, and a
# font. Installs nothing if nothing is missing.
set -euo pipefail

missing=()
command -v chromium >/dev/null || missing+=(chromium)
[ -e /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf ] || missing+=(fonts-dejavu-core)

if [ ${#missing[@]} -eq 0 ]; then exit 0; fi
root=()
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
        echo "browser-packages: run this as root and try again: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    root=(sudo -n)
fi
echo "browser-packages: installing ${missing[*]}" >&2
"${root[@]}" apt-get update -qq
# No package may start a service on the machine of whoever runs the tests.
"${root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
