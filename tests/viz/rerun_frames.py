"""Frames to record with Rerun, and what a recording holds, by Rerun's own reader."""

from dataclasses import replace

import numpy as np
import pytest

from occvino.variant import OCC3D_CLASSES, Axis, Grid
from occvino.variants import get_variant
from occvino.viz.frame import ViewFrame

pytest.importorskip("rerun", reason='rerun-sdk is not installed: pip install "occvino[viz]"')
chunk = pytest.importorskip("rerun.chunk", reason="this rerun-sdk has no rerun.chunk to read recordings with")


GRID = get_variant("flashocc-r50").occupancy_grid
FREE = len(OCC3D_CLASSES) - 1
TINY = Grid(Axis(-2, 2, 0.5), Axis(-2, 2, 0.5), Axis(-1, 1, 0.5))


def frame_of(sample, **changes):
    """Truth as labels, moved by one voxel so that there are differences of every kind."""
    truth = sample.load_labels()
    labels = np.roll(truth.semantics, (1, 0), (0, 1))
    frame = ViewFrame(
        sample.token,
        GRID,
        OCC3D_CLASSES,
        labels,
        truth=truth.semantics,
        mask=truth.mask_camera,
        instances=np.where(labels == FREE, 0, truth.instances).astype(np.uint16),
        images=sample.image_files(),
        rig=sample.rig,
        scene=sample.scene,
        time=sample.timestamp / 1e6,
        miou=0.5,
        seconds={"images": 0.01, "inference": 0.1},
        events=("a frame is missing",),
    )
    return replace(frame, **changes)


def tiny(name="0", label=0, **changes):
    labels = np.full(TINY.shape, FREE, np.uint8)
    labels[3, 4, 1] = label
    return replace(ViewFrame(name, TINY, OCC3D_CLASSES, labels), **changes)


class Rows:
    """What a recording holds: by entity and component, the value of each frame; None for static ones."""

    def __init__(self, path):
        self.reader, self.timelines, self.found = chunk.RrdReader(str(path)), set(), {}
        for each in self.reader.stream().to_chunks():
            self.timelines |= set(each.timeline_names)
            batch = each.to_record_batch()
            times = [None] * batch.num_rows if each.is_static else batch["frame"].to_pylist()
            for name in batch.schema.names:
                if ":" in name:
                    values = self.found.setdefault((each.entity_path, name), {})
                    values.update(zip(times, batch[name].to_pylist(), strict=True))

    def __getitem__(self, key):
        return self.found[key]

    @property
    def entities(self):
        return {entity for entity, _ in self.found}
