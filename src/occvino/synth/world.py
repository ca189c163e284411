"""A synthetic scene: one road, its surroundings, its traffic and the vehicle that carries the cameras.

Everything follows from `(seed, index)`. Times are seconds from the first key frame.
"""

from dataclasses import dataclass

import numpy as np

from occvino.geometry.transforms import Matrix
from occvino.synth.actors import Actor, Motion, Speed
from occvino.synth.layout import Ground, Layout, make_layout, paint_ground
from occvino.synth.light import Light
from occvino.synth.scenery import fill
from occvino.synth.shapes import Shapes

_BEHIND, _AHEAD = 75.0, 95.0
"""How much road there is behind the first and before the last key frame, metres."""


@dataclass(frozen=True, eq=False)
class SyntheticScene:
    """One synthetic scene, from `make`."""

    index: int
    duration: float
    layout: Layout
    ground: Ground
    light: Light
    speed: Speed
    lane_d: float
    actors: tuple[Actor, ...]
    sway: Matrix
    """Pitch and roll: two rows of amplitude (radians), frequency (rad/s) and phase."""
    static: Shapes

    @classmethod
    def make(cls, seed: int, index: int, duration: float) -> "SyntheticScene":
        """Scene `index` of the world `seed`, `duration` seconds long."""
        rng = np.random.default_rng([seed, index])
        start = 0.0 if rng.uniform() < 0.15 else rng.uniform(2.0, 12.5)
        speed = Speed(start, 0.0 if start == 0.0 else float(rng.normal(0, 0.5)))
        distance = speed.travel(duration)
        layout = make_layout(rng, -_BEHIND - 40, distance + _AHEAD + 40)
        lane_d = layout.lane(int(rng.integers(layout.lanes)), 1)
        actors = tuple(fill(rng, layout, lane_d, speed, duration, (-_BEHIND, distance + _AHEAD)))
        sway = np.stack([rng.normal(0, 0.0016, 2), rng.uniform(1, 5, 2), rng.uniform(0, 6, 2)], axis=1)
        still = [a.shapes.placed(*_place(layout, a.motion, 0.0)) for a in actors if not a.motion.moves]
        return cls(
            index,
            duration,
            layout,
            paint_ground(layout, -_BEHIND, distance + _AHEAD),
            Light.random(rng),
            speed,
            lane_d,
            actors,
            sway,
            Shapes.joined(still),
        )

    def pose_of(self, actor: Actor, t: float) -> tuple[float, float, float]:
        """Global x, y and yaw of an actor."""
        m = actor.motion
        return _place(self.layout, m, m.follow * self.speed.travel(t) + m.speed * t)

    def shapes_at(self, t: float) -> Shapes:
        """Every solid of the scene in the global frame."""
        moving = [a.shapes.placed(*self.pose_of(a, t)) for a in self.actors if a.motion.moves]
        return Shapes.joined([self.static, *moving])

    def ego2global(self, t: float) -> Matrix:
        """Pose of the ego vehicle [4, 4]; it pitches and rolls a little."""
        x, y, yaw = self.layout.road.at(self.speed.travel(t), self.lane_d)
        pitch, roll = (float(a * np.sin(w * t + p)) for a, w, p in self.sway)
        matrix = np.eye(4)
        matrix[:3, :3] = _turn(2, yaw) @ _turn(1, pitch) @ _turn(0, roll)
        matrix[:3, 3] = x, y, 0.0
        return matrix


def _place(layout: Layout, motion: Motion, moved: float) -> tuple[float, float, float]:
    s, d = (motion.s + moved, motion.d) if motion.axis == "s" else (motion.s, motion.d + moved)
    x, y, heading = layout.road.at(s, d)
    return x, y, heading + motion.turn


def _turn(axis: int, angle: float) -> Matrix:
    c, s = np.cos(angle), np.sin(angle)
    matrix = np.eye(3)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix[i, i], matrix[i, j], matrix[j, i], matrix[j, j] = c, -s, s, c
    return matrix
