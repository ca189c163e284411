"""Values that a graph stores without a word."""

import math

import numpy as np
import torch
from torch import nn

from tests.doctor.zoo.pair import Pair, Route, image, of

X, M = image(2, 3, 4, 4), image(2, 3)
TRACED = (Route.LEGACY, Route.OPENVINO)
BIGGER = (((image(5, 3, 4, 4),), {}),)


class Conv(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)


class FrozenInput(Conv):
    """The matrix goes through NumPy: the graph has no such input."""

    def forward(self, x, matrix):
        scale = torch.from_numpy(np.abs(matrix.numpy()))  # TRAP
        return self.conv(x * scale[:, :, None, None])


class FrozenInputTwin(Conv):
    def forward(self, x, matrix):
        return self.conv(x * matrix.abs()[:, :, None, None])


class FrozenPart(Conv):
    """The image reaches the output, its largest value does not."""

    def forward(self, x):
        top = float(x.max())  # TRAP
        return self.conv(x) * top


class FrozenPartTwin(Conv):
    def forward(self, x):
        return self.conv(x) * x.max()


class Rebuilt(Conv):
    """A tensor built of numbers read from another."""

    def forward(self, x, matrix):
        scale = torch.tensor([[float(v) for v in row] for row in matrix])  # TRAP
        return self.conv(x) * scale.mean()


class RebuiltTwin(Conv):
    def forward(self, x, matrix):
        return self.conv(x) * matrix.mean()


class Crop(Conv):
    """A size computed from a value: where to cut."""

    def forward(self, x, start):
        begin = start.item()  # TRAP
        return self.conv(x)[..., begin : begin + 2]


class CropTwin(Conv):
    def forward(self, x, start):
        return torch.index_select(self.conv(x), -1, start + torch.arange(2))


class BatchInMath(Conv):
    def forward(self, x):
        return self.conv(x) / math.sqrt(x.shape[0])  # TRAP


class BatchInMathTwin(Conv):
    def forward(self, x):
        return self.conv(x) / x.shape[1]


class LoopOverCameras(Conv):
    def forward(self, x):
        total = torch.zeros_like(x[0])
        for camera in range(x.shape[0]):  # TRAP
            total = total + x[camera] * (camera + 1)
        return self.conv(total)


class LoopOverCamerasTwin(Conv):
    def forward(self, x):
        weights = torch.arange(x.shape[0]) + 1
        return self.conv((x * weights[:, None, None, None]).sum(0))


class Repeats(Conv):
    """How often: read from a tensor whose values ascend, as offsets do."""

    def forward(self, x, steps):
        for _ in range(steps[1]):  # TRAP
            x = x + 1
        return self.conv(x)


class RepeatsTwin(Conv):
    def forward(self, x, steps):
        return self.conv(x + steps[1])


class CountOfKept(Conv):
    """The graph gives another shape where another number is kept."""

    def forward(self, x, kept):
        count = int(kept.sum())  # TRAP
        return self.conv(x)[..., kept].reshape(-1, count).sum(-1)


class CountOfKeptTwin(Conv):
    def forward(self, x, kept):
        return self.conv(x)[..., kept].sum(-1)


class SizeOfKept(Conv):
    """The graph does not even run where another number is kept."""

    def forward(self, x, kept):
        count = int(kept.sum())  # TRAP
        return self.conv(x)[..., kept].reshape(2, 4, 4, count).sum(-1)


class BothMoved(Conv):
    """A branch that is taken when two inputs change, and not when one does."""

    def forward(self, x, y):
        if (x.flatten()[0] != 0) & (y.flatten()[0] != 0):  # TRAP
            x = x * 2
        return self.conv(x) + y.mean()


class BothMovedTwin(Conv):
    def forward(self, x, y):
        moved = (x.flatten()[0] != 0) & (y.flatten()[0] != 0)
        return self.conv(torch.where(moved, x * 2, x)) + y.mean()


class HeldMetadata(Conv):
    """The rig is in the metadata, and NumPy computes with it in a way that no tensor follows."""

    # fmt: off
    def forward(self, x, metas): return self.conv(x) * float(np.linalg.det(metas[0]["lidar2img"]))  # TRAP
    # fmt: on


class HeldMetadataTwin(Conv):
    def forward(self, x, lidar2img):
        m = lidar2img
        return self.conv(x) * (m[0, 0] * m[1, 1] - m[0, 1] * m[1, 0])


RIG = np.array([[2.0, 0.5], [0.25, 3.0]])
ZEROS = torch.zeros_like(X)
STEPS, KEPT = torch.tensor([2, 3, 4]), torch.tensor([True, False, False, False])
PAIRS = (
    Pair("frozen/input", of(FrozenInput, X, M), of(FrozenInputTwin, X, M), TRACED),
    Pair("frozen/partial", of(FrozenPart, X), of(FrozenPartTwin, X), TRACED),
    Pair("frozen/input", of(Rebuilt, X, M), of(RebuiltTwin, X, M), (Route.OPENVINO,)),
    Pair("frozen/input", of(Crop, X, torch.tensor([1])), of(CropTwin, X, torch.tensor([1])), (Route.LEGACY,)),
    Pair("frozen/input", of(Repeats, X, STEPS), of(RepeatsTwin, X, STEPS), (Route.LEGACY,)),
    Pair("frozen/partial", of(CountOfKept, X, KEPT), of(CountOfKeptTwin, X, KEPT), TRACED),
    Pair("frozen/partial", of(SizeOfKept, X, KEPT), of(CountOfKeptTwin, X, KEPT), TRACED),
    Pair("frozen/partial", of(BothMoved, ZEROS, ZEROS), of(BothMovedTwin, ZEROS, ZEROS), TRACED),
    Pair("frozen/metadata", of(HeldMetadata, X, [{"lidar2img": RIG}]), of(HeldMetadataTwin, X, torch.tensor(RIG))),
    Pair("frozen/shape", of(BatchInMath, X), of(BatchInMathTwin, X), TRACED, BIGGER),
    Pair("frozen/shape", of(LoopOverCameras, X), of(LoopOverCamerasTwin, X), (Route.LEGACY,), BIGGER),
)
