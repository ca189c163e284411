"""Light, weather and the camera's own look, drawn once per scene."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SKIES = {
    # sun colour, ambient colour, zenith, horizon, fog density, how often
    "clear": ((1.05, 0.98, 0.86), (0.40, 0.45, 0.52), (0.25, 0.45, 0.78), (0.72, 0.80, 0.88), 0.002, 0.42),
    "cloudy": ((0.30, 0.30, 0.30), (0.68, 0.70, 0.72), (0.66, 0.69, 0.73), (0.78, 0.80, 0.81), 0.004, 0.28),
    "haze": ((0.55, 0.52, 0.46), (0.60, 0.60, 0.60), (0.62, 0.68, 0.74), (0.82, 0.82, 0.80), 0.010, 0.12),
    "evening": ((0.95, 0.60, 0.34), (0.30, 0.31, 0.40), (0.32, 0.36, 0.56), (0.90, 0.66, 0.48), 0.004, 0.12),
    "rain": ((0.10, 0.10, 0.11), (0.52, 0.55, 0.58), (0.50, 0.53, 0.56), (0.62, 0.64, 0.66), 0.010, 0.06),
}


@dataclass(frozen=True)
class Light:
    """What shading needs.

    Attributes:
        name: as `cloudy`.
        values: float64 [18]: direction to the sun (3), sun colour (3), ambient colour (3), zenith colour (3), horizon
            colour (3), fog density per metre, wetness 0..1, texture seed.
        tint: gain of each colour channel.  # [3]
        gamma: exponent applied last.
        noise: standard deviation of the sensor noise, of full scale 1.
    """

    name: str
    values: NDArray[np.float64]
    tint: NDArray[np.float64]
    gamma: float
    noise: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> "Light":
        """Any hour of the day and any weather that the cameras see through."""
        names = list(_SKIES)
        name = names[rng.choice(len(names), p=[sky[-1] for sky in _SKIES.values()])]
        sun, ambient, zenith, horizon, fog, _ = _SKIES[name]
        azimuth = rng.uniform(-np.pi, np.pi)
        height = rng.uniform(0.12, 0.3) if name == "evening" else rng.uniform(0.45, 1.2)
        direction = (np.cos(azimuth) * np.cos(height), np.sin(azimuth) * np.cos(height), np.sin(height))
        power = rng.uniform(0.8, 1.15)
        values = [
            *direction,
            *(np.array(sun) * power),
            *(np.array(ambient) * power * rng.uniform(0.85, 1.1)),
            *zenith,
            *horizon,
            fog * rng.uniform(0.6, 1.5),
            0.8 if name == "rain" else 0.0,
            rng.integers(1, 1 << 20),
        ]
        return cls(
            name,
            np.array(values, np.float64),
            1.0 + rng.normal(0, 0.035, 3),
            float(rng.uniform(0.68, 0.88)),
            float(rng.uniform(0.004, 0.014)),
        )
