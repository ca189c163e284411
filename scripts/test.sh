#!/usr/bin/env bash
# Install and pass every test: lint, types, the quick tests, the slow ones, those on OpenVINO's GPU plugin, and those that
# ask Intel's GPU and NPU compilers.
. "$(dirname "$0")/setup.sh"
install dev,gpu-test
export OCCVINO_REQUIRE_GPU_PLUGIN=1  # a GPU plugin that cannot be had is a failure here, not a skip
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    PYTHON=python tools/npu/setup.sh
    export OCCVINO_REQUIRE_NPU_COMPILER=1
else
    echo "NOT TESTED: Intel's NPU compiler, which tools/npu/setup.sh sets up as root on Debian or Ubuntu"
fi
if [ "$(id -u)" = 0 ] && [ -f /usr/share/keyrings/debian-archive-keyring.gpg ]; then
    tools/gpu/setup.sh
    export OCCVINO_REQUIRE_GPU_COMPILER=1
else
    echo "NOT TESTED: Intel's GPU compiler, whose driver tools/gpu/setup.sh fetches as root on Debian"
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; }
    export OCCVINO_REQUIRE_CHROMIUM=1
else
    command -v chromium >/dev/null || echo "NOT TESTED: the HTML viewer in Chromium, which is not installed"
fi
OCCVINO_TESTS_CONVERTED=$(mktemp -d)  # what one of the runs below has converted, the next ones read (tests/converted.py)
export OCCVINO_TESTS_CONVERTED
trap 'rm -r "$OCCVINO_TESTS_CONVERTED"' EXIT
ruff check .
ruff format --check .
pyright
pytest -rs --durations=10 -n 2 --dist loadfile
pytest -rs --durations=30 -n 2 --dist loadfile -m "(slow or gpu or npu) and not by_hand"
pytest -rs --durations=10 -m timed  # no other tests beside these: one was seen to take 1.6 times as long, its rival no longer

# The server's pins do not go together with ours (constraints-serve.txt): an environment of its own, with the wheel in it
# and without torch, as in the Dockerfile.
python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir build/serve .
occvino convert occvino-nano --image-size 396x704 --out build/serve/nano
[ -x .venv-serve/bin/python ] || "$(find_python)" -m venv .venv-serve
pins=()
if .venv-serve/bin/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then pins=(-c constraints-serve.txt); fi
wheel=$(ls build/serve/occvino-*.whl)
.venv-serve/bin/python -m pip install --quiet --disable-pip-version-check "${pins[@]}" \
    "${wheel}[serve,fast,synth]" "tritonclient[http,grpc]" pytest hypothesis
.venv-serve/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall "$wheel"
pyright --pythonpath .venv-serve/bin/python -p scripts/pyright-serve.json
export OCCVINO_REQUIRE_SERVE=1 OCCVINO_SERVE_ARTIFACT="$PWD/build/serve/nano"
.venv-serve/bin/python -m pytest -rs --durations=5 -m "not by_hand" tests/serve
