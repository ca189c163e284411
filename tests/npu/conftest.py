"""The compiler, where tools/npu/setup.sh has set it up."""

import os

import pytest

from occvino.runtime.npu_compiler import tools_folder

REQUIRE = "OCCVINO_REQUIRE_NPU_COMPILER"


@pytest.fixture(scope="session")
def compiler():
    if tools_folder() is None:
        assert REQUIRE not in os.environ, f"{REQUIRE} is set, and tools/npu/setup.sh did not set the compiler up"
        pytest.skip("Intel's NPU compiler is not set up: tools/npu/setup.sh does it, as root on Debian or Ubuntu")
