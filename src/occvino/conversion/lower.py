"""ONNX -> OpenVINO IR made of stock operators only."""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from occvino.bev_pool import openvino_extensions
from occvino.conversion.any_batch import forget_the_batch
from occvino.conversion.bags import cut_bags
from occvino.conversion.floats import bilinear_constants, geometry_constants
from occvino.conversion.foreign import read_foreign
from occvino.conversion.normalised import fold_normalising
from occvino.conversion.repeated import fold_repeated
from occvino.conversion.rewrite import write_ir
from occvino.conversion.trilinear import fold_trilinear
from occvino.conversion.upsampled import const, constant, fold_upsampling, is_constant
from occvino.errors import OccvinoError
from occvino.runtime.calibration import calibration_nodes

_HALF_MAX = 65504
SMALL = 4096
"""How many values a constant may have that stays in fp32 when weights are stored in half precision."""


def lower(
    onnx_path: Path, xml_path: Path, *, compress_to_fp16: bool, npu: bool = False, bagged_frames: int = 1
) -> None:
    """Convert one ONNX file and write `model.xml` and `model.bin`.

    Args:
        onnx_path: to read.
        xml_path: to write, beside a file of weights.
        compress_to_fp16: store weights in half precision.
        npu: do also what pays on NPUs alone.
        bagged_frames: of how many frames the plan is, where an NPU is to pool by bags.

    Raises:
        OccvinoError: the result holds an operator that is not of a stock opset, or a dynamic shape.
    """
    model = read_onnx(onnx_path)
    forget_the_batch(model)
    fold_repeated(model)
    fold_upsampling(model, npu=npu)
    fold_trilinear(model, npu=npu)
    fold_normalising(model)
    if npu:
        look_up(model)
        cut_bags(model, bagged_frames)
    order_by_index(model)
    check_stock(model)
    save(model, xml_path, compress_to_fp16=compress_to_fp16)


def look_up(model: ov.Model) -> None:
    """Do what looks stored numbers up in a stored table, as windowed attention does for the bias of each pair.

    Intel's NPU compiler leaves that to each frame, as a kernel that its cost model does not know; others do it when
    they compile.
    """
    for node in model.get_ops():
        if node.get_type_name() == "GatherND" and all(is_constant(value) for value in node.input_values()):
            table, which = (constant(value) for value in node.input_values())
            if which.shape[-1] == 1 and not node.get_attributes()["batch_dims"]:
                found = const(table[which[..., 0].astype(np.int64)])
                found.set_friendly_name(node.get_friendly_name())
                node.output(0).replace(found.output(0))


def order_by_index(model: ov.Model) -> None:
    """Let what finds the largest of several values not order them by size, since one is in order anyway.

    The GPU plugin sorts all classes of every voxel otherwise: 11.5 million work items instead of 0.64 (docs/gpu.md).
    Of equals the first is taken, as before. Along the last axis the CPU plugin would then take any of them, whatever
    `stable` says (OpenVINO 2026.4.1); so there it stays.
    """
    for node in model.get_ops():
        if node.get_type_name() == "TopK" and node.get_attributes()["sort"] == "value":
            given, last = node.get_attributes(), len(node.get_output_shape(0)) - 1
            if list(constant(node.input_value(1)).reshape(-1)) == [1] and given["axis"] not in (-1, last):
                kind, axis = given["index_element_type"], given["axis"]
                made = ops.topk(*node.input_values(), axis, given["mode"], "index", kind, given["stable"])
                made.set_friendly_name(node.get_friendly_name())
                for old, new in zip(node.outputs(), made.outputs(), strict=True):
                    new.set_names(old.get_names())
                    old.replace(new)


def save(model: ov.Model, xml_path: Path, *, compress_to_fp16: bool) -> None:
    """Write an IR; with `compress_to_fp16` its large constants, which are weights, in half precision.

    Small ones, such as biases, stay in fp32: they are a thousandth of the file, and their errors are not averaged away.
    (A bias of -2.19 is 5e-4 off in half precision, which is 2 % of what a random network's heatmap varies by.) So do
    those that meet calibration alone, such as the coordinates of pixels, and the weights of bilinear upsampling.
    Operators on calibration alone are marked as ones that devices are not to compute in half precision.
    """
    precise = {op.get_friendly_name() for op in calibration_nodes(model)}
    if not compress_to_fp16:
        write_ir(model, xml_path, precise)
        return
    geometry = geometry_constants(model) | bilinear_constants(model)
    exact = {
        node.get_friendly_name(): np.array(node.data)
        for node in _constants(model)
        if node.data.size <= SMALL or node.get_friendly_name() in geometry
    }
    _check_half(node for node in _constants(model) if node.get_friendly_name() not in exact)
    with tempfile.TemporaryDirectory(dir=xml_path.parent) as folder:
        halved = Path(folder) / "halved.xml"
        ov.save_model(model, halved, compress_to_fp16=True)
        model = ov.Core().read_model(halved)
        for node in _constants(model):
            for value in node.output(0).get_target_inputs():
                convert = value.get_node()  # back to fp32, under the name that the constant had
                if convert.get_type_name() == "Convert" and convert.get_friendly_name() in exact:
                    kept = ov.opset8.constant(exact[convert.get_friendly_name()])
                    kept.set_friendly_name(convert.get_friendly_name())
                    convert.output(0).replace(kept.output(0))
        write_ir(model, xml_path, precise)


def _check_half(weights: Iterable[Any]) -> None:
    """OpenVINO would make the largest number of half precision of what lies beyond it."""
    values = ((node.get_friendly_name(), np.array(node.data)) for node in weights)
    peaks = {name: float(np.abs(array[np.isfinite(array)]).max(initial=0)) for name, array in values}
    beyond = [name for name, peak in peaks.items() if peak > _HALF_MAX]
    if beyond:
        raise OccvinoError(
            f"weights reach {max(peaks.values()):.3g} and half precision ends at {_HALF_MAX}, in {len(beyond)} "
            f"constants, first {beyond[0]}: convert with --precision fp32, or look at what was trained"
        )


def _constants(model: ov.Model) -> list[Any]:
    """Those of floating point."""
    kinds = (ov.Type.f32, ov.Type.f16)
    return [op for op in model.get_ops() if op.get_type_name() == "Constant" and op.get_element_type() in kinds]


def read_onnx(path: str | Path, shapes: Mapping[str, Sequence[int]] | None = None) -> ov.Model:
    """Read an ONNX file with `occvino::BevPoolV2` nodes, or poolers of TensorRT exports, as stock OpenVINO operators.

    Which poolers those are: docs/onnx-from-tensorrt.md.

    The result is an ordinary model: save it with `openvino.save_model` and load it anywhere, without occvino.

    Args:
        path: of our own file, or of one exported for TensorRT by BEVDet, FlashOCC or mmdeploy.
        shapes: of inputs whose shape is dynamic in the file, such as the ranks of a plan.

    Raises:
        OccvinoError: it is no ONNX file; a node is neither ONNX's nor a pooler that is known, or a pooler's intervals
            overlap; an input is still dynamic, and the CPU plugin compiles bags of static shapes only.
    """
    try:
        model = ov.convert_model(str(path), extension=openvino_extensions())
    except Exception as failure:
        model = read_foreign(Path(path), failure)
    if shapes:
        model.reshape({name: list(shape) for name, shape in shapes.items()})
    dynamic = [value.get_any_name() for value in model.inputs if value.get_partial_shape().is_dynamic]
    if dynamic:
        raise OccvinoError(
            f"{path}: the shape of {', '.join(dynamic)} is dynamic, and plugins pool static shapes only: pass "
            f"shapes={{{dynamic[0]!r}: [...], ...}}"
        )
    return model


def check_stock(model: ov.Model) -> None:
    """Refuse a model that would need an extension to load, or that has dynamic shapes.

    Raises:
        OccvinoError: names the operators.
    """
    foreign = {op.get_type_name() for op in model.get_ops() if not _is_stock(op)}
    if foreign:
        raise OccvinoError(f"the IR holds operators that are not stock: {', '.join(sorted(foreign))}")
    dynamic = [
        op.get_friendly_name()
        for op in model.get_ops()
        if any(output.get_partial_shape().is_dynamic for output in op.outputs())
    ]
    if dynamic:
        raise OccvinoError(f"the IR has dynamic shapes, first at {dynamic[0]}: NPUs need static ones")


def _is_stock(op: ov.Node) -> bool:
    return op.get_type_info().version_id.startswith("opset")
