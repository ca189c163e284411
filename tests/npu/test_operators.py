"""Each rule of `runtime.npu_rules`, asked of Intel's NPU compiler."""

import numpy as np
import openvino as ov
import pytest
from openvino import opset3
from openvino import opset13 as ops

from occvino.runtime.npu_compiler import compile_for_npu
from occvino.runtime.npu_rules import MOST_BAGGED, SCATTER_SUM, UNCOSTED
from occvino.runtime.npu_rules import REFUSED as WORDS
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


def test_how_many_entries_a_bag_may_have(tmp_path):
    def compiled(entries, platform):
        ranks = [ops.parameter([size], np.int32) for size in (entries, 1000)]
        table, weights = ops.parameter([1000, 32], np.float32), ops.parameter([entries], np.float32)
        bag = opset3.embedding_bag_offsets_sum(table, *ranks, ops.constant(np.int32(-1)), weights)
        ov.save_model(ov.Model([bag.output(0)], [table, *ranks, weights]), tmp_path / "bag.xml", compress_to_fp16=False)
        return compile_for_npu(tmp_path / "bag.xml", platform, timeout=30)

    assert compiled(MOST_BAGGED, "3720").ok
    assert compiled(MOST_BAGGED + 1, "4000").ok
    assert "not compiled within 30 s" in compiled(MOST_BAGGED + 1, "3720").message
