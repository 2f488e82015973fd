# shellcheck shell=bash
# Sourced by the other scripts: makes .venv with everything that they need, or finds it ready.
# Afterwards the working directory is the repository, and $bin is where the programs are.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
bin="$PWD/.venv/bin"
# There is a stamp only while the environment is whole: one line for what it was made with, one for its contents.
stamp=.venv/aai-gateway.stamp

say() { printf '[%4ds] %s\n' "$SECONDS" "$*" >&2; }

# Prints the first Python that runs and is 3.10 to 3.13, 3.11 (which the tests run on) before others.
find_python() {
    local python
    for python in ${PYTHON:+"$PYTHON"} python3.11 python3.12 python3.13 python3.10 python3 python; do
        if "$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then
            command -v "$python"
            return
        fi
    done
    cat >&2 <<'TEXT'
Python 3.11 is needed (3.10, 3.12 and 3.13 do as well), and none was found. To install it:
  Debian 12, Ubuntu   sudo apt install python3 python3-venv
  Fedora              sudo dnf install python3.11
  macOS               brew install python@3.11
  anywhere            https://www.python.org/downloads/ or https://docs.astral.sh/uv/ (uv python install 3.11)
PYTHON=/path/to/python says where it is.
TEXT
    return 1
}

set_up() {
    local python version made_with contents quiet=-q constraints
    python=$(find_python)
    version=$("$python" -c 'import platform; print(platform.python_version())')
    made_with="Python $version at $PWD"
    contents=$(cat pyproject.toml constraints.txt scripts/setup.sh | cksum)
    if [[ -f $stamp && "$(cat "$stamp")" == "$made_with"$'\n'"$contents" ]]; then
        return
    fi
    if [[ ! -f $stamp || "$(head -n 1 "$stamp")" != "$made_with" ]]; then
        say "Making .venv with Python $version ($python)"
        rm -rf .venv
        if ! "$python" -m venv .venv; then
            rm -rf .venv
            echo "$python cannot make virtual environments; on Debian and Ubuntu: sudo apt install python3-venv" >&2
            return 1
        fi
    fi
    rm -f "$stamp"
    if [[ -t 2 ]]; then quiet=; fi
    # The pins are of Python 3.11; other versions of Python need other releases of some packages, but not of torch.
    constraints=(-c constraints.txt)
    if [[ $version != 3.11.* ]]; then
        constraints=(-c .venv/torch.txt)
        grep '^torch==' constraints.txt >.venv/torch.txt
    fi
    export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
    say "Updating pip"
    "$bin/python" -m pip install -q --upgrade pip
    say "Installing aai-gateway with all extras from the package index: mostly downloads, some minutes"
    # shellcheck disable=SC2086  # empty: no argument
    "$bin/python" -m pip install $quiet "${constraints[@]}" -e '.[proxy,quotes,emulator,dev]' >&2
    printf '%s\n%s\n' "$made_with" "$contents" >"$stamp"
    say "Ready"
}

set_up
