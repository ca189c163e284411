"""Each rule of `runtime.npu_rules`, asked of Intel's NPU compiler."""

import openvino as ov
import pytest

from occvino.runtime.npu_compiler import compile_for_npu
from occvino.runtime.npu_rules import REFUSED as WORDS
from occvino.runtime.npu_rules import SCATTER_SUM, UNCOSTED
from tests.npu.operators import REFUSED, TAKEN, model_of

pytestmark = [pytest.mark.npu, pytest.mark.usefixtures("compiler")]
PLATFORM = "4000"


@pytest.mark.parametrize("name", sorted(TAKEN))
def test_taken(name, tmp_path):
    ov.save_model(model_of(TAKEN[name]), tmp_path / "one.xml", compress_to_fp16=False)
    found = compile_for_npu(tmp_path / "one.xml", PLATFORM)
    assert found.ok, found.message
    kind = name.split("-")[0]
    if kind in UNCOSTED:
        assert f"builtin_{kind}" in found.uncosted


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused(name, tmp_path):
    ov.save_model(model_of(REFUSED[name]), tmp_path / "one.xml", compress_to_fp16=False)
    found = compile_for_npu(tmp_path / "one.xml", PLATFORM)
    assert not found.ok
    assert found.message
    expected = SCATTER_SUM if name.startswith("ScatterNDUpdate-15") else WORDS.get(name, "")
    if name != "Tan-1":  # of which the compiler says nothing
        assert expected in found.message
