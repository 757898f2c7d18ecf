#!/bin/sh
# Print the interpreter that makes the virtual environment: a Python of the wanted version (3.13 unless one is named),
# on the PATH or in pyenv. Without a wanted version the newest from 3.11 on is taken where there is no 3.13.
# Usage: local/find_python.sh [VERSION]
set -u

newest="3.15 3.14 3.12 3.11"
wanted=${1:-}

# Name what `python3.13` really is. A shim of pyenv is on the PATH for versions that are not switched on, and fails when
# run; a Debian python3 without python3-venv cannot make a virtual environment.
real() {
    "$1" -c "
import sys, venv, ensurepip
assert '%d.%d' % sys.version_info[:2] == '$2'
print(sys.executable)" 2>/dev/null
}

find_version() {
    real "python$1" "$1" && return 0
    # The system's own, where `python3` or a shim of pyenv hides it.
    for folder in /usr/bin /usr/local/bin /opt/homebrew/bin; do
        real "$folder/python$1" "$1" && return 0
    done
    root=${PYENV_ROOT:-$(pyenv root 2>/dev/null || echo "$HOME/.pyenv")}
    for found in "$root/versions/$1"*/bin/python; do
        [ -x "$found" ] && real "$found" "$1" && return 0
    done
    return 1
}

for version in ${wanted:-3.13 $newest}; do
    find_version "$version" && exit 0
done
if [ -n "$wanted" ]; then
    echo "No Python $wanted was found, on the PATH or in pyenv." >&2
else
    echo "No Python from 3.11 on that can make virtual environments was found, on the PATH or in pyenv." >&2
    echo "Install one (Debian and Ubuntu: apt install python3 python3-venv), or name it: make setup PYTHON=/path/to/python3" >&2
fi
exit 1
