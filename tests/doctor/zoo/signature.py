"""Signatures that no exporter takes."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from tests.doctor.zoo.pair import Pair, image, of

A, B = image(1, 3, 4, 4), image(1, 3, 4, 5)[..., :4]


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1)

    def forward(self, a, b):
        return self.conv(a) + self.conv(b)


class KeywordsTwin(Plain):
    """Takes `**kwargs` that nobody fills: harmless."""

    def forward(self, a, b, **kwargs):
        return super().forward(a, b)


class Keywords(Plain):
    def forward(
        self,
        **kwargs,  # TRAP
    ):
        return super().forward(kwargs["a"], kwargs["b"])


class Positions(Plain):
    def forward(self, *images):  # TRAP
        return super().forward(*images)


class Dictionary(Plain):
    def forward(self, batch):  # TRAP
        return super().forward(batch["a"], batch["b"])


class NestedLists(Plain):
    def forward(
        self,
        img_inputs,  # TRAP
    ):
        return super().forward(img_inputs[0][0], img_inputs[0][1])


@dataclass
class Sample:
    a: Tensor
    b: Tensor


class DataclassInput(Plain):
    def forward(self, sample):  # TRAP
        return super().forward(sample.a, sample.b)


class Flag(Plain):
    def forward(self, a, b, return_loss=True):  # TRAP
        return super().forward(a, b) if not return_loss else self.conv(a).mean()


class Mode(Plain):
    def forward(self, a, b, mode="loss"):  # TRAP
        return super().forward(a, b) if mode == "tensor" else self.conv(a).mean()


class NoneGiven(Plain):
    def forward(self, a, b, points=None):  # TRAP
        return super().forward(a, b) if points is None else points


class ArrayInput(Plain):
    def forward(self, a, scale):  # TRAP
        return self.conv(a) * torch.from_numpy(scale)


class ArrayInputTwin(Plain):
    def forward(self, a, scale):
        return self.conv(a) * scale


class Metas:
    """What mmdetection's DataContainer is to an exporter."""

    flip = False


class ObjectInput(Plain):
    def forward(self, a, b, img_metas):  # TRAP
        return super().forward(a, b) if not img_metas.flip else self.conv(a.flip(-1))


class Metadata(Plain):
    """The rig is in the metadata: the flat module makes inputs of it."""

    def forward(self, a, metas):  # TRAP
        inverse = np.asarray([np.linalg.inv(matrix) for matrix in metas[0]["lidar2img"]])
        return self.conv(a) * a.new_tensor(inverse).sum()


class MetadataTwin(Plain):
    def forward(self, a, inverses):
        return self.conv(a) * inverses.sum()


RIG = [np.eye(3) * 2, np.eye(3) + 0.1]
PAIRS = (
    Pair("signature/kwargs", of(Keywords, a=A, b=B), of(KeywordsTwin, A, B)),
    Pair("signature/var-args", of(Positions, A, B), of(Plain, A, B)),
    Pair("signature/nested", of(Dictionary, {"a": A, "b": B}), of(Plain, a=A, b=B)),
    Pair("signature/nested", of(NestedLists, [[A, B]]), of(Plain, A, B)),
    Pair("signature/nested", of(DataclassInput, Sample(A, B)), of(Plain, A, B)),
    Pair("signature/flag", of(Flag, A, B, return_loss=False), of(Plain, A, B)),
    Pair("signature/flag", of(Mode, A, B, mode="tensor"), of(Plain, A, B)),
    Pair("signature/none", of(NoneGiven, A, B, None), of(NoneGiven, A, B)),
    Pair("signature/numpy", of(ArrayInput, A, np.float32([[2.0]])), of(ArrayInputTwin, A, torch.tensor([[2.0]]))),
    Pair("signature/nested", of(Metadata, A, [{"lidar2img": RIG, "name": "a"}]), of(MetadataTwin, A, image(2, 3, 3))),
    Pair("signature/object", of(ObjectInput, A, B, Metas()), of(Plain, A, B)),
)
