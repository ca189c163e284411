"""Steps out of tensor land."""

import numpy as np
import torch
from torch import nn

from tests.doctor.zoo.pair import Pair, Specimen, image, of

X = image(2, 3, 4, 4)


class Conv(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.grid_size = torch.tensor([4.0, 4.0, 2.0])
        self.depth = 2
        self.register_buffer("memory", torch.zeros(1, 4, 1, 1))

    def forward(self, x):
        return self.conv(x)


class Item(Conv):
    def forward(self, x):
        return self.conv(x) / x.max().item()  # TRAP


class ItemTwin(Conv):
    def forward(self, x):
        return self.conv(x) / x.max()


class Int(Conv):
    def forward(self, x):
        shift = int(x.sum())  # TRAP
        return self.conv(x) + shift


class IntTwin(Conv):
    def forward(self, x):
        return self.conv(x) + x.sum().long()


class Float(Conv):
    def forward(self, x):
        scale = float(x.mean())  # TRAP
        return self.conv(x) * scale


class FloatTwin(Conv):
    def forward(self, x):
        return self.conv(x) * x.mean()


class Branch(Conv):
    def forward(self, x):
        if x.mean() > 0.5:  # TRAP
            return self.conv(x)
        return self.conv(-x)


class BranchTwin(Conv):
    def forward(self, x):
        return torch.where(x.mean() > 0.5, self.conv(x), self.conv(-x))


class Length(Conv):
    def forward(self, x):
        kept = x.flatten()[x.flatten() > 0.5]
        if len(kept) == 0:  # TRAP
            return self.conv(x)
        return self.conv(x) + kept.mean()


class LengthTwin(Conv):
    def forward(self, x):
        weights = (x > 0.5).float()
        return self.conv(x) + (x * weights).sum() / weights.sum().clamp(min=1)


class ToList(Conv):
    def forward(self, x):
        scores = x.mean((0, 2, 3)).tolist()  # TRAP
        return self.conv(x) * scores[0]


class ToListTwin(Conv):
    def forward(self, x):
        return self.conv(x) * x.mean((0, 2, 3))[0]


class NumpyInTheMiddle(Conv):
    def forward(self, x):
        low = x.cpu().numpy().min()  # TRAP
        return self.conv(x - float(low))


class NumpyInTheMiddleTwin(Conv):
    def forward(self, x):
        return self.conv(x - x.min())


class NumpyFunction(Conv):
    def forward(self, x):
        edges = np.percentile(x, 90)  # TRAP
        return self.conv(x) * edges


class NumpyFunctionTwin(Conv):
    def forward(self, x):
        return self.conv(x) * x.flatten().topk(9).values[-1]


class BufferWrite(Conv):
    def forward(self, x):
        y = self.conv(x)
        self.memory.mul_(0.9).add_(y.mean((0, 2, 3), keepdim=True))  # TRAP
        return y + self.memory


class BufferWriteTwin(Conv):
    def forward(self, x):
        y = self.conv(x)
        return y + self.memory * 0.9 + y.mean((0, 2, 3), keepdim=True)


class FirstCallOnly(Conv):
    """As BEVDet's `accelerate=True`: ranks of the first calibration serve all others."""

    def __init__(self):
        super().__init__()
        self.first = True

    def forward(self, x):
        if self.first:
            self.plan = x.mean((1, 2, 3), keepdim=True)  # TRAP
            self.first = False
        return self.conv(x) * self.plan


class EveryCall(Conv):
    """Keeps a tensor for the caller to look at; no call reads what another one left."""

    def forward(self, x):
        self.plan = x.mean((1, 2, 3), keepdim=True)
        return self.conv(x) * self.plan


class ArrayOutput(Conv):
    def forward(self, x):
        labels = self.conv(x).argmax(1)
        return labels.detach().cpu().numpy().astype(np.uint8)  # TRAP


class ArrayOutputTwin(Conv):
    def forward(self, x):
        return self.conv(x).argmax(1).to(torch.uint8)


class TextOutput(Conv):
    def forward(self, x):
        return {"logits": self.conv(x), "frame": "ego"}  # TRAP


class TextOutputTwin(Conv):
    def forward(self, x):
        return {"logits": self.conv(x), "seen": None}


class Boxes:
    """An object of the user's own."""

    def __init__(self, tensor):
        self.tensor = tensor


class ObjectOutput(Conv):
    def forward(self, x):
        y = self.conv(x)
        return y, Boxes(y)  # TRAP


class TupleOutput(Conv):
    def forward(self, x):
        y = self.conv(x)
        return y, [y + 1, (y * 2,)]


class Random(Conv):
    def forward(self, x):
        return self.conv(x) + torch.randn_like(x[:, :1])  # TRAP


class RandomTwin(Conv):
    def forward(self, x):
        return self.conv(x) + x[:, :1]


class OwnGrid(Conv):
    """As the official view transformer: a constant, kept as a tensor."""

    def forward(self, x):
        z = int(self.grid_size[2])  # TRAP
        return self.conv(x).unflatten(1, (z, -1))


class OwnGridTwin(Conv):
    def forward(self, x):
        return self.conv(x).unflatten(1, (self.depth, -1))


class OwnSize(Conv):
    """As every descendant of Lift, Splat, Shoot: the size of the grid, kept as a tensor."""

    def __init__(self):
        super().__init__()
        self.whole = nn.Parameter(torch.tensor([4, 4]), requires_grad=False)

    def forward(self, x):
        extra = x.new_zeros((2, 4, self.whole[0], self.whole[1]))  # TRAP
        return self.conv(x) + extra


class OwnSizeTwin(Conv):
    def forward(self, x):
        return self.conv(x) + x.new_zeros((2, 4, 4, 4))


class LengthDecides(Conv):
    """One side adds all, the other the largest eight: neither is right for both."""

    def forward(self, x):
        kept = x.flatten()[x.flatten() > 0.3]
        if len(kept) <= 8:  # TRAP
            return self.conv(x) + kept.sum()
        return self.conv(x) + kept.topk(8)[0].sum()


class LengthDecidesTwin(Conv):
    def forward(self, x):
        return self.conv(x) + (x.flatten() * (x.flatten() > 0.3)).topk(8)[0].sum()


class LengthOfMask(Conv):
    """As the official view transformer: a mask is as long as what it was computed on, whatever it keeps."""

    def forward(self, x):
        kept = x.flatten() > 0.5
        if len(kept) == 0:  # TRAP
            return self.conv(x)
        return self.conv(x) + (x.flatten() * kept).mean()


class LengthOfMaskTwin(Conv):
    def forward(self, x):
        kept = x.flatten() > 0.5
        return self.conv(x) + (x.flatten() * kept).mean()


class Normalised(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x):  # TRAP
        return self.norm(x)


def training(specimen: Specimen) -> Specimen:
    """The specimen left in training mode."""

    def make():
        module, args, kwargs = specimen()
        return module.train(), args, kwargs

    return make


PAIRS = (
    Pair("leaving/item", of(Item, X), of(ItemTwin, X)),
    Pair("leaving/number", of(Int, X), of(IntTwin, X)),
    Pair("leaving/number", of(Float, X), of(FloatTwin, X)),
    Pair("leaving/bool", of(Branch, X), of(BranchTwin, X)),
    Pair("leaving/len", of(Length, X), of(LengthTwin, X)),
    Pair("leaving/tolist", of(ToList, X), of(ToListTwin, X)),
    Pair("leaving/numpy", of(NumpyInTheMiddle, X), of(NumpyInTheMiddleTwin, X)),
    Pair("leaving/numpy", of(NumpyFunction, X), of(NumpyFunctionTwin, X)),
    Pair("leaving/buffer", of(BufferWrite, X), of(BufferWriteTwin, X)),
    Pair("leaving/state", of(FirstCallOnly, X), of(EveryCall, X)),
    Pair("leaving/output", of(ArrayOutput, X), of(ArrayOutputTwin, X)),
    Pair("leaving/output", of(TextOutput, X), of(TextOutputTwin, X)),
    Pair("leaving/output", of(ObjectOutput, X), of(TupleOutput, X)),
    Pair("leaving/random", of(Random, X), of(RandomTwin, X)),
    Pair("leaving/number", of(OwnGrid, X), of(OwnGridTwin, X)),
    Pair("leaving/size", of(OwnSize, X), of(OwnSizeTwin, X)),
    Pair("leaving/len", of(LengthDecides, X), of(LengthDecidesTwin, X)),
    Pair("leaving/len", of(LengthOfMask, X), of(LengthOfMaskTwin, X)),
    Pair("leaving/training", training(of(Normalised, X)), of(Normalised, X)),
)
