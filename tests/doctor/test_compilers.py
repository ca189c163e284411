"""Devices that are not here: what their compilers say becomes findings, and what is missing is said."""

import pytest
from torch import nn

from occvino.doctor import Severity, compilers, diagnose
from occvino.doctor.routes import Route
from occvino.runtime.gpu_compiler import GpuReport
from occvino.runtime.npu_compiler import NpuReport, tools_folder
from tests.doctor.zoo.pair import image

CALL = (image(1, 3, 8, 8),)


def devices_of(device: str):
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()).eval()
    findings = diagnose(net, CALL, devices=[device], routes=(Route.OPENVINO,), compare_modules=False)
    return [finding for finding in findings if finding.code == "operators/device"]


@pytest.fixture
def set_up(monkeypatch, tmp_path):
    """Both compilers stand there, and answer at once."""
    (tmp_path / "ready").touch()
    monkeypatch.setattr(compilers.npu_compiler, "tools_folder", lambda: tmp_path)
    monkeypatch.setattr(compilers.gpu_compiler, "tools_folder", lambda: tmp_path)
    asked = []

    def npu(xml, platform, **_):
        asked.append((xml.is_file(), platform))
        return NpuReport(platform, ok=platform == "4000", message="no kernel for Inverse", seconds=2.0)

    monkeypatch.setattr(compilers.npu_compiler, "compile_for_npu", npu)
    monkeypatch.setattr(
        compilers.gpu_compiler, "compile_for_gpu", lambda xml, device, **_: GpuReport(device, "f16", ok=True)
    )
    return asked


def test_the_npus_compiler_is_asked_and_what_it_refuses_is_an_error(set_up):
    (taken,) = devices_of("npu.4000")
    assert (taken.severity, taken.subject) == (Severity.NOTE, "NPU.4000")
    (refused,) = devices_of("NPU.3720")
    assert refused.severity is Severity.ERROR
    assert "no kernel for Inverse" in refused.evidence
    assert set_up == [(True, "4000"), (True, "3720")]


def test_a_gpu_that_is_not_here_is_its_drivers_to_judge(set_up):
    (named,) = devices_of("gpu.iris-xe")
    (default,) = devices_of("GPU")
    assert (named.subject, default.subject) == ("GPU.iris-xe", "GPU.lunar-lake")
    assert named.severity is Severity.NOTE


def test_without_compilers_it_is_said_how_to_have_them_asked(monkeypatch):
    monkeypatch.setattr(compilers.npu_compiler, "tools_folder", lambda: None)
    monkeypatch.setattr(compilers.gpu_compiler, "tools_folder", lambda: None)
    assert compilers.compiler_of("NPU.4000") == ""
    (absent,) = devices_of("GPU.lunar-lake")
    assert absent.severity is Severity.NOTE
    assert any("OCCVINO_GPU_TOOLS" in line for line in absent.evidence)


def test_indices_and_unknown_products_are_not_products():
    assert [compilers.compiler_of(name) for name in ("CPU", "GPU.0", "GPU.voodoo", "NPU.1", "NPU")] == [""] * 5


@pytest.mark.slow
@pytest.mark.skipif(tools_folder() is None, reason="Intel's NPU compiler is not set up")
def test_intels_compiler_takes_a_convolution():
    (taken,) = devices_of("NPU.4000")
    assert "it compiles" in taken.message
