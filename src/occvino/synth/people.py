"""People and two-wheelers of the synthetic world, each a list of solids in its own frame: x forward, feet on z = 0."""

import numpy as np

from occvino.synth.shapes import Kind, Material, Part, Triple
from occvino.synth.vehicles import box, vary, vivid

_TYRE = (0.06, 0.06, 0.06)
_SKIN: tuple[Triple, ...] = ((0.85, 0.65, 0.52), (0.7, 0.48, 0.35), (0.42, 0.27, 0.18))
_TROUSERS: tuple[Triple, ...] = ((0.1, 0.12, 0.22), (0.08, 0.08, 0.09), (0.42, 0.36, 0.27), (0.25, 0.25, 0.27))


def _cloth(rng: np.random.Generator) -> Triple:
    return vivid(rng, 0.7) if rng.uniform() < 0.6 else vary(rng, (0.3, 0.3, 0.3), 0.5)


def pedestrian(rng: np.random.Generator) -> list[Part]:
    """A person in mid-stride; a builder in a signal vest now and then."""
    tall = rng.uniform(0.88, 1.06)
    builder = rng.uniform() < 0.12
    top: Triple = (0.9, 0.55, 0.05) if builder else _cloth(rng)
    trousers = vary(rng, _TROUSERS[rng.integers(4)])
    skin, hair = vary(rng, _SKIN[rng.integers(3)]), vary(rng, (0.15, 0.1, 0.07), 0.4)
    step = rng.uniform(0.05, 0.22)
    parts = [
        Part(Kind.COLUMN, (side * step, side * 0.1, 0.42 * tall), (0.1, 0.1, 0.42 * tall), Material.PLAIN, trousers)
        for side in (-1, 1)
    ]
    parts += [
        Part(
            Kind.COLUMN,
            (-side * step * 0.8, side * 0.27, 1.1 * tall),
            (0.08, 0.08, 0.3 * tall),
            Material.CLOTH,
            top,
        )
        for side in (-1, 1)
    ]
    head = (0.95, 0.8, 0.1) if builder else hair
    return [
        *parts,
        Part(Kind.ELLIPSOID, (0, 0, 1.13 * tall), (0.16, 0.24, 0.36 * tall), Material.CLOTH, top),
        Part(Kind.ELLIPSOID, (0.02, 0, 1.6 * tall), (0.1, 0.09, 0.13), Material.PLAIN, skin),
        Part(Kind.ELLIPSOID, (-0.02, 0, 1.66 * tall), (0.12, 0.11, 0.11), Material.PLAIN, head),
    ]


def _rider(rng: np.random.Generator, seat: float, lean: float) -> list[Part]:
    top, trousers = _cloth(rng), vary(rng, _TROUSERS[rng.integers(4)])
    legs = [
        box((-0.1, 0.25), 0.16, (seat - 0.55, seat + 0.1), Material.PLAIN, trousers, (0.1, 0.0, 0.0), at_y=side * 0.16)
        for side in (-1, 1)
    ]
    return [
        *legs,
        box((-0.3, 0.05), 0.42, (seat, seat + 0.62), Material.CLOTH, top, (-lean, lean, 0.05)),
        box((0.0, 0.5), 0.5, (seat + 0.25, seat + 0.42), Material.CLOTH, top),
        Part(Kind.ELLIPSOID, (lean - 0.05, 0, seat + 0.78), (0.14, 0.13, 0.16), Material.PLAIN, _cloth(rng)),
    ]


def bicycle(rng: np.random.Generator) -> list[Part]:
    """A bicycle, with its rider or parked."""
    frame = vivid(rng, 0.6)
    parts = [Part(Kind.ELLIPSOID, (x, 0, 0.34), (0.34, 0.08, 0.34), Material.RINGS, _TYRE) for x in (-0.52, 0.52)]
    parts += [
        box((-0.45, 0.35), 0.16, (0.5, 0.66), Material.PLAIN, frame),
        box((-0.3, -0.14), 0.16, (0.5, 0.98), Material.PLAIN, frame),
        box((0.34, 0.5), 0.16, (0.5, 1.05), Material.PLAIN, frame),
        box((0.34, 0.5), 0.55, (1.0, 1.1), Material.PLAIN, _TYRE),
    ]
    return [*parts, *_rider(rng, 0.95, 0.25)] if rng.uniform() < 0.6 else parts


def motorcycle(rng: np.random.Generator) -> list[Part]:
    """A motorcycle or scooter, with its rider or parked."""
    paint = vivid(rng, 0.6) if rng.uniform() < 0.7 else (0.08, 0.08, 0.09)
    parts = [Part(Kind.ELLIPSOID, (x, 0, 0.33), (0.34, 0.13, 0.33), Material.PLAIN, _TYRE) for x in (-0.72, 0.72)]
    parts += [
        box((-0.45, 0.4), 0.36, (0.25, 0.62), Material.PLAIN, (0.3, 0.3, 0.32)),
        box((-0.2, 0.45), 0.38, (0.62, 0.98), Material.CAR_PAINT, paint, (0.25, 0.1, 0.08)),
        box((-0.95, -0.1), 0.34, (0.66, 0.84), Material.PLAIN, (0.07, 0.07, 0.07)),
        box((0.45, 0.78), 0.34, (0.6, 1.12), Material.CAR_PAINT, paint, (0.25, -0.1, 0.05)),
        box((0.42, 0.54), 0.74, (1.02, 1.12), Material.PLAIN, _TYRE),
        box((0.76, 0.84), 0.2, (0.72, 0.92), Material.LAMP, (0.95, 0.95, 0.85)),
    ]
    return [*parts, *_rider(rng, 0.85, 0.22)] if rng.uniform() < 0.6 else parts
