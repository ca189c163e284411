"""`occvino bugreport`, `--version` and `python -m occvino`."""

import getpass
import json
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy
import openvino

import occvino
from tests.cli import command


def ran(*arguments, **environment):
    return command.occvino(*arguments, check=0, COLUMNS="200", **environment).stdout


def test_a_module_that_can_be_run_tells_its_version_and_devices():
    version = [sys.executable, "-m", "occvino", "--version"]
    told = subprocess.run(version, capture_output=True, text=True, check=True).stdout
    assert told.startswith(f"occvino {occvino.__version__}, OpenVINO {openvino.__version__.split('-')[0]}; devices: ")
    assert all(device in told for device in openvino.Core().available_devices)


def test_a_report_names_versions_and_devices():
    told = ran("bugreport")
    for expected in (occvino.__version__, platform.python_version(), numpy.__version__, openvino.__version__[:6]):
        assert expected in told
    assert openvino.Core().get_property("CPU", "FULL_DEVICE_NAME") in told
    found = json.loads(ran("bugreport", "--json"))
    assert found["packages"]["numpy"] == metadata.version("numpy")
    assert set(found["devices"]) == set(openvino.Core().available_devices)


def test_it_tells_nothing_about_who_asks(nano):
    """Paths, the user, the machine, and values of variables stay out; names of switches do not."""
    told = ran("bugreport", nano.path, OCCVINO_SECRET="hunter2", HOSTNAME="rose")
    assert "variant: occvino-nano" in told
    assert "weights: random" in told
    assert "OCCVINO_SECRET" in told
    secrets = ["hunter2", "rose", platform.node(), str(Path.home()), str(Path.cwd()), str(nano.path), sys.prefix]
    assert not [secret for secret in secrets if secret and secret in told]
    user = getpass.getuser()
    assert not [line for line in told.splitlines() if user in line.split()]
