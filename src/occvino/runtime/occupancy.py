"""The one result of everything: labelled voxels that know what and where they are."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from occvino.errors import ArtifactError
from occvino.files import atomic_file
from occvino.npz import read_npz
from occvino.runtime.memory import History
from occvino.runtime.panoptic import Mapping, assign_instances, find_centres
from occvino.variant import Axis, Grid, Variant

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, eq=False)
class Occupancy:
    """Semantic occupancy in the key ego frame (x forward, y left, z up, metres; see `geometry`).

    Args:
        labels: u8 [Dx, Dy, Dz], indexed [x, y, z]: an index into `class_names`.
        class_names: the last one is "free".
        grid: where the voxels are.
        extras: further outputs that were asked for at conversion, such as "logits" f32 [Dx, Dy, Dz, classes].
        history: which past frames a stream used; None for other models. It is not saved.
    """

    labels: NDArray[np.uint8]
    class_names: tuple[str, ...]
    grid: Grid
    extras: dict[str, NDArray[Any]] = field(default_factory=dict[str, NDArray[Any]], repr=False)
    history: History | None = None

    @classmethod
    def of_outputs(
        cls,
        labels: NDArray[np.uint8],
        arrays: dict[str, NDArray[Any]],
        variant: Variant,
        mapping: Mapping = Mapping.OFFICIAL,
        history: History | None = None,
    ) -> "Occupancy":
        """Of what a network gave. `arrays`: outputs besides the labels; instances are made of them."""
        if variant.panoptic:
            instances = assign_instances(labels, find_centres(arrays, variant), variant.occupancy_grid, mapping)
            arrays = {**arrays, "instances": instances}
        return cls(labels, variant.class_names, variant.occupancy_grid, arrays, history)

    @property
    def instances(self) -> NDArray[np.uint16] | None:
        """Instance ids u16 [Dx, Dy, Dz] of a panoptic model (see `runtime.panoptic`); None for other models."""
        return self.extras.get("instances")

    def counts(self) -> dict[str, int]:
        """How many voxels of each class there are, classes without any left out."""
        counts = np.bincount(self.labels.reshape(-1), minlength=len(self.class_names))
        return {name: int(count) for name, count in zip(self.class_names, counts, strict=True) if count}

    def save(self, path: str | Path) -> None:
        """Write a compressed `.npz`: `labels`, `class_names`, `grid` (lower, upper, step) [3, 3], and the extras."""
        with atomic_file(path) as temporary, temporary.open("wb") as stream:
            self.write(stream)

    def write(self, stream: IO[bytes]) -> None:
        """The same, to an open file."""
        axes = (self.grid.x, self.grid.y, self.grid.z)
        np.savez_compressed(
            stream,
            labels=self.labels,
            class_names=np.array(self.class_names),
            grid=np.array([[axis.lower, axis.upper, axis.step] for axis in axes]),
            **self.extras,  # type: ignore[arg-type]  # pyright takes any of them for allow_pickle
        )

    @classmethod
    def load(cls, path: str | Path) -> "Occupancy":
        """Read what `save` wrote. Nothing in the file is executed: pickled arrays are refused.

        Raises:
            ArtifactError: the file is missing, or was not written by `save`.
        """
        try:
            arrays = read_npz(path)
            names = tuple(str(name) for name in arrays.pop("class_names"))
            axes = [Axis(*(float(value) for value in row)) for row in arrays.pop("grid")]
            labels, grid = arrays.pop("labels"), Grid(*axes)
            if labels.dtype != np.uint8 or labels.shape != grid.shape or labels.max() >= len(names):
                raise ValueError(
                    f"labels are {labels.dtype} {labels.shape}, expected uint8 {grid.shape} of {len(names)} classes"
                )
            return cls(labels, names, grid, arrays)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ArtifactError(f"{path} is not an occupancy file: {error}") from error

    def picture(self, title: str | None = None) -> "Image.Image":
        """Bird's-eye view with a legend, forward up (see `viz.bev_picture`)."""
        from occvino.viz import bev_picture

        return bev_picture(self.labels, self.grid, self.class_names, title=title)
