#!/usr/bin/env bash
# Install and pass every test: lint, types, the quick tests, then the slow ones and those on OpenVINO's GPU plugin.
. "$(dirname "$0")/setup.sh"
install dev,gpu-test
export OCCVINO_REQUIRE_GPU_PLUGIN=1  # a GPU plugin that cannot be had is a failure here, not a skip
ruff check .
ruff format --check .
pyright
pytest -rs --durations=10
pytest -rs --durations=10 -m "slow or gpu"
