"""Devices and precisions are understood as people write them."""

import pytest

from occvino.errors import DeviceError
from occvino.runtime.devices import Settings, checked_device
from occvino.runtime.names import computed_precision, device_name, precision_name, with_new_names


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("cpu", "CPU"),
        ("gpu.0", "GPU.0"),
        ("Gpu", "GPU"),
        ("auto:gpu,cpu", "AUTO:GPU,CPU"),
        ("hetero:gpu.1, cpu", "HETERO:GPU.1,CPU"),
        ("auto:-gpu.0", "AUTO:-GPU.0"),
        ("batch:gpu(4)", "BATCH:GPU(4)"),
        ("HETERO:GPU,CPU", "HETERO:GPU,CPU"),
        ("my_cpu", "my_cpu"),
        ("template", "template"),
    ],
)
def test_device_names_get_their_capitals(given, expected):
    assert device_name(given) == expected


@pytest.mark.parametrize("device", ["cpu", "Auto", "auto:cpu", "hetero:cpu", "AUTO:GPU,CPU", "cpu.0"])
def test_devices_of_this_machine_and_choices_among_them_are_let_through(device):
    assert checked_device(device) == device.upper()


@pytest.mark.parametrize(
    "device", ["", "banana", "cuda", "cpu,banana", "AUTO:banana,CPU", "banana:CPU", "cpu:0", "auto:"]
)
def test_unknown_devices_are_told_from_those_there_are(device):
    with pytest.raises(DeviceError, match="there is no device .*: .*devices here: CPU"):
        checked_device(device)


@pytest.mark.parametrize("name", ["fp32", "FP32", "f32", "F32", "float32"])
def test_one_spelling_of_a_precision(name):
    assert precision_name(name) == computed_precision(name) == "fp32"
    settings = Settings(name)
    assert settings.precision == "fp32"
    assert settings.properties() == {"INFERENCE_PRECISION_HINT": "f32"}
    assert settings == Settings("fp32")


def test_words_of_an_older_version_are_read():
    assert with_new_names("CPU -> CPU, f32, 2 threads; f16 + bf16") == "CPU -> CPU, fp32, 2 threads; fp16 + bf16"
    assert with_new_names("CPU -> CPU, fp32, bf16") == "CPU -> CPU, fp32, bf16"
