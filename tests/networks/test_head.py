"""The heads against what they stand for: linear layers on columns or voxels, and the first of the best classes."""

from pathlib import Path

import numpy as np
import onnx
import openvino as ov
import pytest
import torch
from torch import Tensor, nn

from occvino.networks.bev import BEVOCCHead2D
from occvino.networks.bev3d import BEVOCCHead3D

HEIGHT, CLASSES = 3, 5


def plain_2d(head: BEVOCCHead2D, trunk: Tensor) -> Tensor:
    """As the official head says it: the channels of a cell last, output `z * classes + class`."""
    columns = head.final_conv(trunk)[0].permute(2, 1, 0)
    return head.predicter(columns).unflatten(-1, (HEIGHT, CLASSES))


def plain_3d(head: BEVOCCHead3D, voxels: Tensor) -> Tensor:
    return head.predicter(head.final_conv(voxels)[0].permute(3, 2, 1, 0))


@pytest.mark.parametrize(
    ("head", "plain", "shape"),
    [
        (BEVOCCHead2D(4, HEIGHT, CLASSES), plain_2d, (1, 4, 6, 7)),
        (BEVOCCHead3D(4, CLASSES), plain_3d, (1, 4, HEIGHT, 6, 7)),
    ],
)
def test_a_head_is_linear_layers_on_cells(head, plain, shape):
    torch.manual_seed(0)
    trunk = torch.randn(shape)
    with torch.inference_mode():
        logits = head(trunk)
        expected = plain(head, trunk)
        labels = head.labels(head.scores(logits))
    assert logits.shape == (7, 6, HEIGHT, CLASSES)
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)
    np.testing.assert_array_equal(labels.numpy(), expected.numpy().argmax(-1))


class Labels(nn.Module):
    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, logits: Tensor) -> Tensor:
        return self.head.labels(self.head.scores(logits))


@pytest.mark.parametrize("head", [BEVOCCHead2D(4, 16, 18), BEVOCCHead3D(4, 18)])
def test_the_first_of_equal_classes_wins_in_openvino_too(head, tmp_path: Path):
    logits = np.random.default_rng(0).integers(0, 3, (7, 6, 16, 18)).astype(np.float32)
    program = torch.onnx.export(
        Labels(head).eval(), (torch.from_numpy(logits),), dynamo=True, opset_version=18, verbose=False
    )
    onnx.save(program.model_proto, tmp_path / "labels.onnx")
    found = ov.Core().compile_model(tmp_path / "labels.onnx", "CPU")(logits)[0]
    np.testing.assert_array_equal(found, logits.argmax(-1))
