"""What `run` will compute in, and what that does to the labels: `verify` proves the conversion in fp32."""

from dataclasses import dataclass

import numpy as np
import openvino as ov

from occvino.artifact import IR, Artifact
from occvino.conversion.tolerances import Arrays
from occvino.runtime.devices import Settings, compile_model, running

NEAR_TIE = 0.01
"""Two classes are near a tie where PyTorch's logits of them differ by less than this share of all logits' deviation."""


@dataclass(frozen=True)
class AsRun:
    """The labels of one frame in the precision that a device takes by itself, against PyTorch's.

    Attributes:
        precision: that, such as "bf16".
        labels: share of equal labels.
        clear: share of labels that differ though they are no near tie.
        miou: of a model of ours, mIoU (0..1) in fp32 and in this precision on the scene that ships inside.
    """

    precision: str
    labels: float
    clear: float
    miou: tuple[float, float] | None = None

    def __str__(self) -> str:
        if self.precision == "fp32":
            return "run computes in fp32 here as well, if it is not told otherwise"
        words = (
            f"run computes in {self.precision} here, if it is not told otherwise (--precision fp32): labels equal to "
            f"PyTorch's {self.labels:.4%}, {self.clear:.4%} differ and are no near tie"
        )
        if self.miou is None:
            return f"{words}; what that costs on your data: occvino eval --precision fp32, and without"
        exact, found = self.miou
        return f"{words}; mIoU on the scene that ships inside {exact:.2%} in fp32, {found:.2%} so"


def as_run(artifact: Artifact, inputs: Arrays, torch: Arrays, device: str) -> AsRun:
    """Run the IR once more, in the device's own precision.

    Args:
        artifact: the IR's.
        inputs: of the IR.
        torch: "labels" [Dx, Dy, Dz] and "logits" [Dx, Dy, Dz, classes] of PyTorch.
        device: that runs it.

    Raises:
        DeviceError: the device cannot be used.
    """
    compiled = compile_model(ov.Core().read_model(artifact.path / IR), device, Settings(None))
    labels = np.array(compiled(dict(inputs))["labels"])
    differ = labels != torch["labels"]
    logits = torch["logits"][differ]  # [K, classes]
    best, other = (
        np.take_along_axis(logits, chosen[differ].astype(np.intp)[:, None], 1)[:, 0]
        for chosen in (torch["labels"], labels)
    )
    clear = int((best - other > NEAR_TIE * float(torch["logits"].std())).sum())
    return AsRun(running(compiled, device).precision, float((~differ).mean()), clear / labels.size)
