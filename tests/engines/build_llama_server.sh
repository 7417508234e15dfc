#!/usr/bin/env bash
# Builds llama.cpp's server for this machine's CPU and prints the path of its program, the one word
# on standard output. The source is the one that the sdist of llama-cpp-python carries: PyPI is
# reached where GitHub is not. What is built is kept in ~/.cache/coldproof/llama.cpp/<version>/bin;
# a second call only prints. An interrupted build is taken up again.
#
#     JOBS=2 PYTHON=python3 tests/engines/build_llama_server.sh
set -euo pipefail

version=0.3.36
sha256=832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e
python=${PYTHON:-python3} # its pip fetches the sdist
jobs=${JOBS:-2}
folder=${XDG_CACHE_HOME:-$HOME/.cache}/coldproof/llama.cpp/$version
program=$folder/bin/llama-server

say() { printf 'llama-server: %s\n' "$*" >&2; }

packages() { # what building needs and is missing here, from Debian
    local missing=() root=()
    command -v cmake >/dev/null || missing+=(cmake)
    command -v ninja >/dev/null || missing+=(ninja-build)
    command -v g++ >/dev/null || missing+=(g++)
    "$python" -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
    if [ ${#missing[@]} -eq 0 ]; then return; fi
    if [ "$(id -u)" != 0 ]; then
        if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
            say "run this as root and try again: apt-get install ${missing[*]}"
            exit 1
        fi
        root=(sudo -n)
    fi
    say "installing ${missing[*]}"
    "${root[@]}" apt-get update -qq
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

fetch() { # the sdist, held against its hash, to $folder/source
    if [ -e "$folder/source/CMakeLists.txt" ]; then return; fi
    say "fetching llama-cpp-python $version"
    rm -rf "$folder/sdist" "$folder/source"
    mkdir -p "$folder/sdist"
    printf 'llama-cpp-python==%s --hash=sha256:%s\n' "$version" "$sha256" >"$folder/sdist/wanted"
    "$python" -m pip download --quiet --no-deps --no-binary llama-cpp-python --require-hashes \
        --dest "$folder/sdist" --requirement "$folder/sdist/wanted" >&2
    tar -xzf "$folder"/sdist/*.tar.gz -C "$folder/sdist" --strip-components=1
    mv "$folder/sdist/vendor/llama.cpp" "$folder/source"
    rm -rf "$folder/sdist"
}

build() { # programs and libraries side by side, which find each other wherever they are moved to
    say "building with $jobs jobs: a quarter of an hour on two cores"
    # The page that a browser would get is built with npm or downloaded: neither is wanted.
    # Without a git repository of its own it would name one that happens to lie above it.
    cmake -S "$folder/source" -B "$folder/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
        -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF \
        -DLLAMA_BUILD_SERVER=ON -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF \
        -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_NUMBER=0 \
        -DLLAMA_BUILD_COMMIT="llama-cpp-python-$version" \
        -DCMAKE_BUILD_WITH_INSTALL_RPATH=ON "-DCMAKE_INSTALL_RPATH=\$ORIGIN" >&2
    cmake --build "$folder/build" --target llama-server --parallel "$jobs" >&2
    rm -rf "$folder/bin"
    mv "$folder/build/bin" "$folder/bin"
    rm -rf "$folder/build" "$folder/source"
}

if [ ! -x "$program" ]; then
    packages
    mkdir -p "$folder"
    exec 9>"$folder/lock" # two calls at once: the second waits, and finds what the first built
    flock 9
    if [ ! -x "$program" ]; then
        fetch
        build
    fi
fi
"$program" --version >&2
printf '%s\n' "$program"
