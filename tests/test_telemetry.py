"""What Intel's tools would report of their use stays here."""

import os
import subprocess
import sys

import pytest

WATCHED = """
import sys
from openvino_telemetry.backend.backend_ga4 import GA4Backend
GA4Backend.send = lambda self, message: print("SENT", message)
"""
CONVERTED = """
from occvino.conversion import convert
convert("occvino-nano", None, sys.argv[1])
"""
QUANTISED = "from occvino.conversion.quantize import load_nncf\nload_nncf()\n"
EXAMINED = """
import torch
from occvino.doctor import diagnose
class Twice(torch.nn.Module):
    def forward(self, x):
        return 2 * x
print(diagnose(Twice(), (torch.rand(2, 3),)))
"""
RUNNING = "import occvino.runtime.devices, openvino; openvino.Core()\n"
UNASKED = "import openvino\n"


def sent(code, home):
    """What a process would have sent, and what it left in its user's home."""
    environment = {**os.environ, "HOME": str(home)}
    for name in ("CI", "TF_BUILD", "JENKINS_URL", "NNCF_CI", "NNCF_DEV"):  # with these nothing is ever sent
        environment.pop(name, None)
    command = [sys.executable, "-c", WATCHED + code, str(home / "out")]
    told = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    return told.count("SENT"), (home / "intel").exists()


@pytest.mark.slow
@pytest.mark.parametrize("code", [CONVERTED, QUANTISED, EXAMINED, RUNNING], ids=["convert", "int8", "doctor", "run"])
def test_nothing_is_reported(code, tmp_path):
    assert sent(code, tmp_path) == (0, False)


def test_without_us_it_would_be(tmp_path):
    """Else the test above proves nothing. When this fails, Intel may have begun to ask."""
    number, left = sent(UNASKED, tmp_path)
    assert number > 0
    assert left
