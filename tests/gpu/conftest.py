"""What every test of the GPU plugin needs."""

import os

import pytest

from tests.gpu import fakegpu


@pytest.fixture(scope="session", autouse=True)
def opencl_runtime():
    reason = fakegpu.missing()
    if reason and os.environ.get("OCCVINO_REQUIRE_GPU_PLUGIN"):
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
