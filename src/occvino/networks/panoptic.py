"""The head that finds instances: where their centres are in the BEV, and of which class (after CenterPoint)."""

from torch import Tensor, nn

from occvino.networks.layers import ConvModule

HEADS = {"reg": 2, "height": 1, "dim": 3, "rot": 2, "vel": 2, "heatmap": 10}
"""Outputs and their channels, in the official order."""
CENTRE_HEADS = ("heatmap", "reg", "height")
"""Those that instance ids are made from; the others are trained along and not used."""


class CenternessHead(nn.Module):
    """One shared convolution, then two for each output."""

    def __init__(self, in_channels: int, channels: int = 64) -> None:
        super().__init__()
        self.shared_conv = ConvModule(in_channels, channels, 3, norm=True, relu=True)
        task = nn.Module()
        for name, outputs in HEADS.items():
            convs = (
                ConvModule(channels, channels, 3, norm=True, relu=True),
                nn.Conv2d(channels, outputs, 3, padding=1),
            )
            task.add_module(name, nn.Sequential(*convs))
        self.task_heads = nn.ModuleList([task])

    def forward(self, trunk: Tensor, names: tuple[str, ...] = CENTRE_HEADS) -> dict[str, Tensor]:
        """Trunk [1, C, Dy, Dx] -> the named outputs [1, channels, Dy, Dx], before any sigmoid."""
        shared = self.shared_conv(trunk)
        return {name: self.task_heads[0].get_submodule(name)(shared) for name in names}
