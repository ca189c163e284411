"""ONNX files whose nodes OpenVINO has no rule for: poolers of TensorRT plugins, read by the facts of their sources.

    bev_pool_v2 (mmdeploy of BEVDet; FlashOCC), BEVPoolV2TRT, BEVPoolV2TRT2 (BEVFormer_tensorrt)
        feat [N, fH, fW, C] -> [1, H, W, C]; out_height, out_width or output_height, output_width
    BEVPool with bev_h, bev_w, n (TRT_FlashOcc)
        feat [N, C, fH, fW] -> [N / n, C, H, W]

All take seven inputs (`bev_pool.mmdeploy_reference`), in whichever domain the exporter chose. What goes by the same
name with other inputs or attributes is another operator: it is refused, and not guessed at.
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import onnx
import openvino as ov
from openvino.frontend.onnx import ConversionExtension

from occvino.bev_pool import DOMAIN, SIZES, bev_size, intervals_openvino, openvino_extensions
from occvino.errors import OccvinoError

_INPUTS = "depth, feat, ranks_depth, ranks_feat, ranks_bev, interval_starts, interval_lengths"
Reader: TypeAlias = Callable[[str, Any], ov.Output]
_KNOWN_DOMAINS = (DOMAIN, "com.microsoft", "org.openvinotoolkit")
"""Beside ONNX's own: OpenVINO has rules for nodes of these, or says best itself what is wrong with one."""


def read_foreign(path: Path, failure: Exception) -> ov.Model:
    """Convert a file that OpenVINO by itself could not.

    Args:
        path: of the ONNX file.
        failure: what OpenVINO said.

    Raises:
        OccvinoError: names the node that cannot be read, its inputs, and what is expected.
    """
    try:
        file = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf and onnx raise errors of several kinds
        raise OccvinoError(f"{path} cannot be read as an ONNX file: {error}") from failure
    foreign = [node for node in _nodes(file) if _is_foreign(node, file)]
    readers = {(node.op_type, node.domain): _READERS.get(node.op_type) for node in foreign}
    refused = [_refusal(node) for node in foreign if not _readable(node)]
    if refused or not foreign:
        raise OccvinoError(f"{path}: {refused[0] if refused else failure}") from failure
    raised: list[OccvinoError] = []
    extensions = [
        ConversionExtension(kind, domain, functools.partial(_read, kind, reader, raised))
        for (kind, domain), reader in readers.items()
        if reader is not None
    ]
    try:
        return ov.convert_model(str(path), extension=[*openvino_extensions()[:1], *extensions])
    except Exception as error:
        raise OccvinoError(f"{path}: {raised[0] if raised else error}") from error


def _read(kind: str, reader: Reader, raised: list[OccvinoError], node: Any) -> list[ov.Output]:
    """What OpenVINO calls: an error of ours comes out of it as a part of a long one of its own, so it is kept."""
    try:
        return [reader(kind, node)]
    except OccvinoError as error:
        raised.append(error)
        raise


def _channels_last(kind: str, node: Any) -> ov.Output:
    size = bev_size(kind, {name: node.get_attribute(name) for name in SIZES if node.has_attribute(name)})
    return intervals_openvino(kind, [node.get_input(index) for index in range(7)], *size)


def _channels_first(kind: str, node: Any) -> ov.Output:
    """The same sum over feat [N, C, fH, fW], given as [1, C, H, W]."""
    import openvino.opset8 as ops

    inputs = [node.get_input(index) for index in range(7)]
    depth, feat = inputs[0].get_partial_shape(), inputs[1].get_partial_shape()
    cameras = int(node.get_attribute("n"))
    if depth.is_dynamic or feat.is_dynamic or len(depth) != 4 or len(feat) != 4 or list(depth)[2:] != list(feat)[2:]:
        raise OccvinoError(
            f"{kind}: depth has shape {depth} and feat has shape {feat}, expected [N, D, fH, fW] and [N, C, fH, fW]"
        )
    if feat[0] != cameras:
        raise OccvinoError(f"{kind}: feat has {feat[0]} images, and n is {cameras}: only a batch of one is supported")
    inputs[1] = ops.transpose(inputs[1], ops.constant([0, 2, 3, 1])).output(0)
    bev = intervals_openvino(kind, inputs, int(node.get_attribute("bev_h")), int(node.get_attribute("bev_w")))
    return ops.transpose(bev, ops.constant([0, 3, 1, 2])).output(0)


_READERS: dict[str, Reader] = {
    "bev_pool_v2": _channels_last,
    "BEVPoolV2TRT": _channels_last,
    "BEVPoolV2TRT2": _channels_last,
    "BEVPool": _channels_first,
}


def _readable(node: onnx.NodeProto) -> bool:
    given = {attribute.name for attribute in node.attribute}
    if node.op_type not in _READERS or len(node.input) != 7:
        return False
    return node.op_type != "BEVPool" or {"bev_h", "bev_w", "n"} <= given


def _refusal(node: onnx.NodeProto) -> str:
    name = f"{node.domain}::{node.op_type}" if node.domain else f"{node.op_type} (of no domain)"
    attributes = ", ".join(str(attribute.name) for attribute in node.attribute) or "none"
    told = f"node {node.name!r} is {name}, inputs {', '.join(map(str, node.input)) or 'none'}, attributes {attributes}"
    if "pool" not in str(node.op_type).lower():
        return f"{told}: OpenVINO has no such operator, and occvino does not know it. Replace it in the file"
    return (
        f"{told}: a pooler that occvino does not know. It reads those with the seven inputs {_INPUTS}: bev_pool_v2, "
        "BEVPoolV2TRT and BEVPoolV2TRT2 with feat [N, fH, fW, C], out_height and out_width, and BEVPool with feat "
        "[N, C, fH, fW], bev_h, bev_w and n (docs/onnx-from-tensorrt.md)"
    )


def _is_foreign(node: onnx.NodeProto, file: onnx.ModelProto) -> bool:
    """Whether a node is neither ONNX's own nor spelt out in the file."""
    spelt = {(function.domain, function.name) for function in file.functions}
    domain = "" if node.domain == "ai.onnx" else node.domain
    known = domain in _KNOWN_DOMAINS or onnx.defs.has(str(node.op_type), str(domain))
    return not known and (node.domain, node.op_type) not in spelt


def _nodes(file: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """All nodes, those of branches, loops and functions too."""
    waiting: list[Iterable[onnx.NodeProto]] = [file.graph.node, *(function.node for function in file.functions)]
    while waiting:
        for node in waiting.pop():
            yield node
            for attribute in node.attribute:
                waiting += [graph.node for graph in (attribute.g, *attribute.graphs)]
