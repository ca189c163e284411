"""How the viewer opens: cameras where they look, plots and the log below them; voxels from behind and above."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from occvino.geometry.rig import Rig
from occvino.variant import NUSCENES_CAMERAS
from occvino.viz.frame import ViewFrame
from occvino.viz.palette import PAGE
from occvino.viz.rerun import scene
from occvino.viz.rerun.sdk import rrb

_EYE, _TARGET = (-30.0, 0.0, 22.0), (6.0, 0.0, 0.0)
"""Metres in the ego frame: behind and above."""
_SHARES = (7, 8)
"""Of the width: cameras, plots and log; voxels."""
_AHEAD = math.radians(100)
"""Cameras that look less far from straight ahead than this are in the upper row."""
_COLUMNS = 3
_LOG_COLUMNS = rrb.TextLogColumns(text_log_columns=["LogLevel", "Body"])


@dataclass(frozen=True)
class Layout:
    """What there is to show so far; a blueprint is made of it, and made anew when it grows.

    Args:
        rows: camera names, as they are arranged.
        truth: whether a frame had ground truth.
        instances: whether one had instances.
        plots: whether one had its mIoU or the seconds of its steps.
        features: names of images of features.
    """

    rows: tuple[tuple[str, ...], ...] = ()
    truth: bool = False
    instances: bool = False
    plots: bool = False
    features: tuple[str, ...] = ()

    def with_frame(self, frame: ViewFrame) -> "Layout":
        """The same with what a frame has."""
        names = list(dict.fromkeys([*(frame.rig.names if frame.rig else ()), *frame.images]))
        known = {name for row in self.rows for name in row}
        return replace(
            self,
            rows=self.rows if known >= set(names) else arranged(names, frame.rig),
            truth=self.truth or frame.truth is not None,
            instances=self.instances or frame.instances is not None,
            plots=self.plots or frame.miou is not None or bool(frame.seconds),
            features=tuple(dict.fromkeys([*self.features, *frame.features])),
        )

    def blueprint(self) -> Any:
        """For `RecordingStream.send_blueprint`."""
        voxels: list[Any] = [_view("Predicted", scene.PREDICTED)]
        others = [_view("Truth", scene.TRUTH), _view("Differences", scene.DIFFERENT)] if self.truth else []
        others += [_view("Instances", scene.INSTANCES)] if self.instances else []
        if others:
            voxels.append(rrb.Tabs(*others))
        beside: list[Any] = [_row(names) for names in self.rows]
        if self.features:
            views = [
                rrb.Spatial2DView(origin=scene.feature_path(name), name=name, background=PAGE) for name in self.features
            ]
            beside.append(rrb.Tabs(rrb.Grid(*views, name="Features")))
        if self.plots:
            legend = rrb.PlotLegend(visible=False)
            beside.append(
                rrb.Horizontal(
                    rrb.TimeSeriesView(origin=scene.MIOU, name="mIoU", plot_legend=legend),
                    rrb.TimeSeriesView(origin=scene.SECONDS, name="Seconds by step", plot_legend=rrb.Corner2D.LeftTop),
                )
            )
        beside.append(
            rrb.Horizontal(
                rrb.TextLogView(origin=scene.LOG, name="Log", columns=_LOG_COLUMNS),
                rrb.Spatial2DView(origin=scene.LEGEND, name="Legend", background=PAGE),
            )
        )
        return rrb.Blueprint(
            rrb.Horizontal(rrb.Vertical(*beside), rrb.Vertical(*voxels), column_shares=_SHARES),
            rrb.BlueprintPanel(state="collapsed"),
            rrb.SelectionPanel(state="collapsed"),
            rrb.TimePanel(state="collapsed", timeline=scene.FRAME),
            auto_views=False,
        )


def arranged(names: Sequence[str], rig: Rig | None) -> tuple[tuple[str, ...], ...]:
    """Camera names in rows: as on the vehicle, the upper row looking ahead and the lower one back, left to right.

    The cameras of nuScenes have their usual places. Others are sorted by the yaw of their rig, up to three in a row;
    those that the rig does not have come last, in their order.
    """
    if set(names) == set(NUSCENES_CAMERAS):
        return NUSCENES_CAMERAS[:_COLUMNS], NUSCENES_CAMERAS[_COLUMNS:]
    turned = {name: scene.yaw(rig, name) for name in names if rig and name in rig.names}
    ahead = sorted((name for name in turned if abs(turned[name]) < _AHEAD), key=lambda name: -turned[name])
    # seen from behind, what looks back and left, yaw near +pi, is on the left
    back = sorted(
        (name for name in turned if abs(turned[name]) >= _AHEAD), key=lambda name: -_from_behind(turned[name])
    )
    rest = [name for name in names if name not in turned]
    return tuple(row for part in (ahead, back, rest) for row in _split(part))


def _from_behind(radians: float) -> float:
    """Larger for what looks further to the left of straight back: pi and -pi, which are the same, in the middle."""
    return -radians + math.pi if radians > 0 else -radians - math.pi


def _split(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Rows of about equal lengths, of three at the most."""
    count = -(-len(names) // _COLUMNS)
    edges = [round(i * len(names) / count) for i in range(count + 1)] if count else [0]
    return [tuple(names[a:b]) for a, b in pairwise(edges)]


def _row(names: Sequence[str]) -> Any:
    return rrb.Horizontal(
        *(
            rrb.Spatial2DView(
                origin=f"{scene.camera_path(name)}/image",
                name=name.removeprefix("CAM_").replace("_", " ").capitalize(),
                background=PAGE,
            )
            for name in names
        )
    )


def _view(name: str, layer: str) -> Any:
    """Voxels of one layer, seen from a place that moves with the vehicle."""
    return rrb.Spatial3DView(
        origin=scene.EGO,
        contents=[f"+ {layer}/**", f"+ {scene.CAMERAS}/**", f"+ {scene.WAY}"],
        name=name,
        background=PAGE,
        eye_controls=rrb.EyeControls3D(
            kind=rrb.Eye3DKind.Orbital, position=_EYE, look_target=_TARGET, eye_up=(0.0, 0.0, 1.0)
        ),
        line_grid=rrb.LineGrid3D(visible=False),
    )
