"""Intel's GPU driver, where tools/gpu/setup.sh has fetched it; and the shipped nano, compiled once for each device."""

import os

import pytest

from occvino.artifact import IR
from occvino.conversion import convert
from occvino.datasets.shipped import shipped_scene
from occvino.networks.checkpoint import shipped_weights
from occvino.runtime.gpu_compiler import compile_gpu_parts, tools_folder

REQUIRE = "OCCVINO_REQUIRE_GPU_COMPILER"


@pytest.fixture(scope="session")
def driver():
    if tools_folder() is None:
        assert REQUIRE not in os.environ, f"{REQUIRE} is set, and tools/gpu/setup.sh did not fetch the driver"
        pytest.skip("Intel's GPU driver is not here: tools/gpu/setup.sh fetches it, as root on Debian")


@pytest.fixture(scope="session")
def nano_on(driver, tmp_path_factory):
    """Its layers on a device, in the parts that run there; int8 of three frames: accuracy is not the point here."""
    artifacts, found = {}, {}

    def make(precision, device):
        if precision not in artifacts:
            calibrated = {"dataset": shipped_scene(), "calibration_frames": 3, "accuracy_budget": 100}
            options = calibrated if precision == "int8" else {}
            out = tmp_path_factory.mktemp("kernels") / precision
            weights = shipped_weights("occvino-nano")
            artifacts[precision] = convert("occvino-nano", weights, out, precision=precision, **options).path / IR
        if (precision, device) not in found:
            found[precision, device] = compile_gpu_parts(artifacts[precision], device)
        return found[precision, device]

    return make
