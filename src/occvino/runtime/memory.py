"""What a stream remembers of past frames - their state, rigs and times - and when it forgets them.

`Memory.recall` gives what the next call needs, `Memory.keep` remembers what that call computed. Between the two nothing
changes, so that a call that fails leaves the memory as it was.
"""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from occvino.artifact import Artifact
from occvino.errors import FrameError, warn
from occvino.geometry.rig import Rig, warn_of_unknown_poses
from occvino.geometry.seconds import other_unit
from occvino.geometry.temporal import MISSING, Temporal, past_frames_kept, state_inputs, state_shapes
from occvino.geometry.transforms import motion_between
from occvino.variant import Variant

State: TypeAlias = Mapping[str, NDArray[Any]]
"""What is kept of one frame, by the names of `temporal.state_slots`."""


class SceneCutWarning(UserWarning):
    """The frame does not follow the previous one, so the past was forgotten: the current frame stands in for it."""


class DroppedFrameWarning(UserWarning):
    """More time than usual passed since the previous frame. The past was used all the same, with its own poses."""


@dataclass(frozen=True)
class Limits:
    """How far apart two successive frames of one scene may be.

    Attributes:
        gap: seconds.
        speed: metres a second; where no times are given, `jump` takes its place.
        jump: metres from one frame to the next.
        turn: degrees from one frame to the next.
        late: frames count as dropped after this many times the usual interval.
    """

    gap: float = 2.0
    speed: float = 70.0
    jump: float = 35.0
    turn: float = 90.0
    late: float = 1.6

    @classmethod
    def none(cls) -> "Limits":
        """No limits, except that time must not go back."""
        return cls(math.inf, math.inf, math.inf, math.inf)


Event: TypeAlias = Literal["start", "scene", "cut", "dropped"]


@dataclass(frozen=True)
class History:
    """Which past frames a result used.

    Attributes:
        frames: how many past frames were used.
        wanted: how many the model takes; the current one stood in for the rest.
        event: "start": there was nothing to remember. "scene": the caller named another scene. "cut": the frame does
            not follow the previous one. "dropped": frames seem to be missing before this one. None: nothing of note.
        message: the event in words; empty if there was none.
    """

    frames: int
    wanted: int
    event: Event | None = None
    message: str = ""

    @property
    def moments(self) -> int:
        """What `frames` was called before."""
        warn("History.moments is called History.frames now", DeprecationWarning)
        return self.frames


@dataclass(frozen=True, eq=False)
class PastFrame:
    """One remembered frame. `rig`: with its cameras in the network's order; `time`: seconds."""

    state: State
    rig: Rig
    scene: str | None
    time: float | None


@dataclass(frozen=True, eq=False)
class Recalled:
    """What one call is given of past frames. `past`: newest first. `inputs`: `missing` and the state, by input name."""

    rigs: tuple[Rig, ...]
    past: tuple[PastFrame, ...]
    inputs: Mapping[str, NDArray[Any]]
    history: History


class Memory:
    """The state of one stream. Arrays are not copied: what a call wrote is what later calls read.

    Args:
        variant: a temporal one.
        temporal: "exact" or "fast".
        cameras: N.
        limits: how far apart two successive frames may be.
    """

    def __init__(self, variant: Variant, temporal: Temporal, cameras: int, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._variant = variant
        self._frames = past_frames_kept(variant, temporal)
        self._inputs = state_inputs(variant, temporal)
        self._shapes = state_shapes(variant, temporal, cameras)
        self._blank = {name: np.zeros(shape, np.float32) for name, shape in self._shapes.items()}
        self._free: list[State] = []
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next frame is the first of a scene."""
        self._past: tuple[PastFrame, ...] = ()
        self._intervals: deque[float] = deque(maxlen=8)

    def recall(
        self, rig: Rig, scene: str | None = None, time: float | None = None, *, follows: bool = False
    ) -> Recalled:
        """What the past gives to the frame of this rig, scene and time (seconds).

        `follows`: the caller knows that the frame follows the previous one, so nothing is checked. Otherwise this warns
        with `SceneCutWarning` or `DroppedFrameWarning` if it does not. It warns with `UnknownPoseWarning` if no rig
        says where the vehicle was.

        Raises:
            FrameError: the time is not a finite number, or not in seconds.
        """
        if time is not None and not math.isfinite(time):
            raise FrameError(f"time={time}: expected seconds on any running clock, or no time at all")
        if time is not None and (unit := other_unit(time)):
            raise FrameError(f"time={time:.0f}: {unit}")
        event, message = (None, "") if follows and self._past else self._event(rig, scene, time)
        past = self._past if event in (None, "dropped") else ()
        if past:
            warn_of_unknown_poses([rig, *(frame.rig for frame in past)])
        if event in ("cut", "dropped"):
            warn(message, SceneCutWarning if event == "cut" else DroppedFrameWarning)
        there = [age <= len(past) for age in range(1, self._frames + 1)]
        inputs: dict[str, NDArray[Any]] = {MISSING: ~np.array(there)}
        for name, (kind, age) in self._inputs.items():
            inputs[name] = past[age - 1].state[kind] if age <= len(past) else self._blank[kind]
        rigs = (rig, *(frame.rig for frame in past))
        rigs += (rig,) * (self._variant.frames - len(rigs))
        return Recalled(rigs, past, inputs, History(len(past), self._frames, event, message))

    def room(self) -> State:
        """Arrays for the state of a frame, for the call to write to; no remembered frame uses them."""
        if self._free:
            return self._free.pop()
        return {name: np.empty(shape, np.float32) for name, shape in self._shapes.items()}

    def keep(self, recalled: Recalled, state: State, scene: str | None = None, time: float | None = None) -> None:
        """Remember a frame that was computed from what `recall` gave."""
        if scene is None and recalled.past:
            scene = recalled.past[0].scene  # what is not told has not changed
        kept = (PastFrame(state, recalled.rigs[0], scene, time), *recalled.past)[: self._frames]
        self._free += [frame.state for frame in self._past if frame not in kept]
        if recalled.past and (interval := _interval(recalled.past[0], time)):
            self._intervals.append(interval)
        self._past = kept

    def _event(self, rig: Rig, scene: str | None, time: float | None) -> tuple[Event | None, str]:
        """What happened between the previous frame and this one."""
        if not self._past:
            return "start", "the first frame of a scene: it stands in for the past frames"
        before = self._past[0]
        if scene is not None and before.scene is not None and scene != before.scene:
            return "scene", f"scene {scene} follows {before.scene}: the past was forgotten"
        if cut := self._cut(before, rig, time):
            return "cut", f"{cut}: this frame does not follow the previous one, so the past was forgotten"
        interval = _interval(before, time)
        usual = median(self._intervals) if len(self._intervals) > 1 else None
        if interval and usual and interval > self.limits.late * usual:
            dropped = max(1, round(interval / usual) - 1)
            return "dropped", (
                f"{interval:.3g} s since the previous frame, {usual:.3g} s are usual: {dropped} seem to be missing. "
                "The past frames were used with their own poses, but the model was trained on even intervals"
            )
        return None, ""

    def _cut(self, before: PastFrame, rig: Rig, time: float | None) -> str:
        """Why a frame cannot follow the previous one; empty if it can."""
        interval = _interval(before, time)
        if interval is not None and interval <= 0:
            return f"time went from {before.time:g} to {time:g} s"
        if interval is not None and interval > self.limits.gap:
            return f"{interval:.3g} s passed (more than {self.limits.gap:g} s; times are in seconds)"
        metres, degrees = motion_between(before.rig.cameras[0].ego2global, rig.cameras[0].ego2global)
        allowed = self.limits.jump if interval is None else self.limits.speed * interval
        if metres > allowed:
            after = "" if interval is None else f" in {interval:.3g} s"
            return f"the vehicle moved by {metres:.0f} m{after} (more than {allowed:.0f} m)"
        if degrees > self.limits.turn:
            return f"the vehicle turned by {degrees:.0f} degrees (more than {self.limits.turn:g})"
        return ""


def memory_of(artifact: Artifact, limits: Limits | None = None) -> Memory | None:
    """An empty memory for an artifact in a streaming form; None for all others."""
    manifest = artifact.manifest
    if manifest.temporal == "batch":
        return None
    return Memory(artifact.variant, manifest.temporal, len(manifest.cameras), limits)


def _interval(before: PastFrame, time: float | None) -> float | None:
    return None if time is None or before.time is None else time - before.time
