"""An exported ONNX model on disk: engines map its weights from there, where bytes in memory are copied twice."""

from __future__ import annotations

import contextlib
import weakref
from typing import Any

import torch

from occvino.bev_pool import DOMAIN, onnx_function
from occvino.doctor.flatten import FlatModule
from occvino.files import scratch_folder

OPSET = 18


class OnnxFile:
    """A model in a temporary folder, which goes when nobody holds this object any more.

    Attributes:
        plain: the file as the exporter wrote it.
        runnable: the file for ONNX Runtime: with the function that spells `occvino::BevPoolV2` out, where it is used.
        nodes: operator types, `domain::type` where the domain is not ONNX's own.
    """

    def __init__(self) -> None:
        folder = contextlib.ExitStack()
        self.plain = self.runnable = folder.enter_context(scratch_folder()) / "model.onnx"
        weakref.finalize(self, folder.close)
        self.nodes: frozenset[str] = frozenset()

    def look(self) -> None:
        """Read what the exporter has written: the nodes, not the weights."""
        import onnx

        proto = onnx.load(str(self.plain), load_external_data=False)
        self.nodes = frozenset(f"{n.domain}::{n.op_type}" if n.domain else str(n.op_type) for n in proto.graph.node)
        if any(node.domain == DOMAIN for node in proto.graph.node):
            self.runnable = self.plain.with_name("with_function.onnx")  # shares the file of the weights
            proto.functions.append(onnx_function())
            onnx.save(proto, str(self.runnable))


def export_legacy(flat: FlatModule, axes: dict[str, set[int]]) -> OnnxFile:
    """`torch.onnx.export(dynamo=False)`.

    Raises:
        Exception: whatever the exporter raises.
    """
    file = OnnxFile()
    torch.onnx.export(
        flat,
        flat.example,
        str(file.plain),
        dynamo=False,
        opset_version=OPSET,
        input_names=list(flat.input_names),
        dynamic_axes={name: sorted(which) for name, which in axes.items()} or None,
    )
    file.look()
    return file


def export_dynamo(flat: FlatModule, axes: dict[str, set[int]]) -> OnnxFile:
    """`torch.onnx.export(dynamo=True)`, with the weights in a file of their own.

    Raises:
        Exception: whatever the exporter raises.
    """
    program: Any = torch.onnx.export(
        flat,
        flat.example,
        dynamo=True,
        verbose=False,
        dynamic_shapes=flat.dynamic_shapes(axes),
        input_names=list(flat.input_names),  # or capitals are lost
    )
    file = OnnxFile()
    program.save(str(file.plain), external_data=True)
    file.look()
    return file
