# Sourced by demo.sh and test.sh: a virtual environment in .venv (or $OCCVINO_VENV) with this package in it.
# PYTHON chooses the interpreter; 3.11 is what constraints.txt was written with, other versions install without it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3.11 python3.12 python3.13 python3.10 python3; do
        # running it, since a version manager's stand-in may be on the path and refuse
        if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "no Python 3.10 or newer was found: set PYTHON to one" >&2
    exit 1
}

install() {
    local venv="${OCCVINO_VENV:-.venv}"
    [ -x "$venv/bin/python" ] || "$(find_python)" -m venv "$venv"
    # shellcheck disable=SC1091
    . "$venv/bin/activate"
    local pins=()
    if python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then pins=(-c constraints.txt); fi
    python -m pip install --quiet --disable-pip-version-check "${pins[@]}" -e ".[$1]"
}
