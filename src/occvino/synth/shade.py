"""What surfaces look like: sky, painted ground, and the materials of solids, all procedural.

Everything here is compiled by numba. `out` is the colour that a function fills in, [3], linear, 0..1; `footprint` is
the size of one pixel on the surface in metres, by which patterns fade before they flicker.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from occvino.synth.jit import compiled
from occvino.synth.shapes import Material

F64 = NDArray[np.float64]

# Compiled code takes plain numbers as constants, not members of an enumeration.
_GRASS, _DIRT, _ASPHALT, _LOT = int(Material.GRASS), int(Material.DIRT), int(Material.ASPHALT), int(Material.LOT)
_WHITE, _YELLOW = int(Material.WHITE_PAINT), int(Material.YELLOW_PAINT)
_PAVERS, _GRAVEL = int(Material.PAVERS), int(Material.GRAVEL)
_SIDEWALK, _CURB = int(Material.SIDEWALK), int(Material.CURB)
_FACADE, _BRICK, _LEAVES, _BARK = int(Material.FACADE), int(Material.BRICK), int(Material.LEAVES), int(Material.BARK)
_PAINT, _CABIN, _BAND = int(Material.CAR_PAINT), int(Material.CABIN), int(Material.GLASS_BAND)
_STRIPES, _RINGS, _RIBS = int(Material.STRIPES), int(Material.RINGS), int(Material.RIBS)
_CLOTH, _LAMP, _GLASS = int(Material.CLOTH), int(Material.LAMP), int(Material.GLASS)


@compiled
def _random(i: int, j: int, seed: int) -> float:
    """A number in [0, 1) that looks random and depends on i, j and seed only."""
    h = (i * 374761393 + j * 668265263 + seed * 2147483647) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    return ((h ^ (h >> 16)) & 0xFFFFFF) / 16777216.0


@compiled
def _noise(x: float, y: float, seed: int) -> float:
    """Smooth noise in [0, 1) with features of size 1."""
    i, j = int(np.floor(x)), int(np.floor(y))
    u, v = x - i, y - j
    u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
    low = _random(i, j, seed) * (1 - u) + _random(i + 1, j, seed) * u
    high = _random(i, j + 1, seed) * (1 - u) + _random(i + 1, j + 1, seed) * u
    return low * (1 - v) + high * v


@compiled
def _fade(size: float, footprint: float) -> float:
    """1 where a pattern of that size is well resolved, 0 where it is not."""
    return min(1.0, max(0.0, 1.5 - 2.0 * footprint / size))


@compiled
def sky(d: F64, light: F64, out: F64) -> None:
    """The sky in direction d (unit length): a gradient, clouds, the glow about the sun."""
    up = max(0.0, d[2])
    mix = up**0.45
    scale = 1.6 / (up + 0.12)
    seed = int(light[17])
    cloud = (
        _noise(d[0] * scale, d[1] * scale, seed) * 0.65 + _noise(d[0] * scale * 2.7, d[1] * scale * 2.7, seed) * 0.35
    )
    cloud = max(0.0, cloud - 0.5) * min(1.0, up * 6.0)
    glow = max(0.0, d[0] * light[0] + d[1] * light[1] + d[2] * light[2]) ** 24 * 0.35
    for k in range(3):
        base = light[12 + k] * (1 - mix) + light[9 + k] * mix
        out[k] = base * (1 - cloud) + 0.92 * cloud + glow * light[3 + k]


@compiled
def _set(out: F64, r: float, g: float, b: float, gain: float) -> None:
    out[0], out[1], out[2] = r * gain, g * gain, b * gain


@compiled
def _ground_colour(material: int, x: float, y: float, footprint: float, seed: int, wet: float, out: F64) -> None:
    fine = (_noise(x * 5, y * 5, seed) - 0.5) * _fade(0.2, footprint)
    broad = _noise(x * 0.3, y * 0.3, seed + 1) - 0.5
    style = _random(seed, 7, 3)
    if material in (_ASPHALT, _LOT):
        grey = 0.17 + 0.12 * style + (0.07 if material == _LOT else 0.0)
        patch = 0.03 if _noise(x * 0.12, y * 0.12, seed + 2) > 0.62 else 0.0
        _set(out, grey, grey * 0.99, grey * 1.02, 1 + 0.35 * fine + 0.25 * broad - patch * 3)
    elif material in (_WHITE, _YELLOW):
        worn = 1.0 - 0.35 * max(0.0, _noise(x * 2.2, y * 2.2, seed + 3) - 0.35)
        if material == _WHITE:
            _set(out, 0.72, 0.72, 0.71, worn)
        else:
            _set(out, 0.7, 0.52, 0.12, worn)
    elif material == _SIDEWALK:
        gain = 1 + 0.25 * fine + 0.12 * broad
        joint = 1.2 + 0.6 * style
        if min(x % joint, y % joint) < 0.06:
            gain -= 0.25 * _fade(0.12, footprint)
        gain += 0.12 * (_random(int(np.floor(x / joint)), int(np.floor(y / joint)), seed) - 0.5) * _fade(1.2, footprint)
        _set(out, 0.5 + 0.08 * style, 0.49 + 0.06 * style, 0.46, gain)
    elif material == _CURB:
        _set(out, 0.62, 0.61, 0.58, 1 + 0.2 * fine)
    elif material == _GRASS:
        dry = min(1.0, max(0.0, 0.5 + 1.6 * broad + 0.5 * (style - 0.5)))
        blades = 1 + 0.9 * fine + 0.7 * (_noise(x * 1.4, y * 1.4, seed + 4) - 0.5) * _fade(0.7, footprint)
        _set(out, 0.17 + 0.2 * dry, 0.29 + 0.04 * dry, 0.09 + 0.06 * dry, blades)
    elif material == _DIRT:
        _set(out, 0.4, 0.3, 0.2, 1 + 0.9 * fine + 0.5 * broad)
    elif material == _GRAVEL:
        grain = (_random(int(np.floor(x * 9)), int(np.floor(y * 9)), seed) - 0.5) * _fade(0.11, footprint)
        _set(out, 0.56, 0.48, 0.36, 1 + 0.7 * grain + 0.3 * broad)
    else:
        i, j = int(np.floor(x / 0.6)), int(np.floor(y / 0.6))
        gain = 1 + 0.5 * (_random(i, j, seed) - 0.5) * _fade(0.6, footprint) + 0.2 * fine
        if min(x % 0.6, y % 0.6) < 0.05:
            gain -= 0.4 * _fade(0.1, footprint)
        gain -= 0.22 * (((int(np.floor(x / 2.4)) + int(np.floor(y / 2.4))) % 2) - 0.5) * _fade(2.4, footprint)
        _set(out, 0.5 - 0.1 * style, 0.31 + 0.1 * style, 0.23 + 0.14 * style, gain)
    if wet > 0 and material != _GRASS:
        for k in range(3):
            out[k] *= 1 - 0.35 * wet


@compiled
def _ground(
    point: F64, footprint: float, seed: int, wet: float, material: NDArray[np.uint8], frame: F64, out: F64
) -> int:
    """Colour of the ground, blended over the four nearest cells of paint; gives the nearest one's material."""
    x, y = (point[0] - frame[3]) / frame[5] - 0.5, (point[1] - frame[4]) / frame[5] - 0.5
    i, j = int(np.floor(x)), int(np.floor(y))
    if not (0 <= i < material.shape[0] - 1 and 0 <= j < material.shape[1] - 1):
        _ground_colour(_GRASS, point[0], point[1], footprint, seed, wet, out)
        return _GRASS
    u, v = x - i, y - j
    nearest = int(material[i + (u > 0.5), j + (v > 0.5)])
    _ground_colour(nearest, point[0], point[1], footprint, seed, wet, out)
    if material[i, j] == material[i + 1, j] == material[i, j + 1] == material[i + 1, j + 1]:
        return nearest
    total = out * 0.0
    for corner in range(4):
        a, b = corner % 2, corner // 2
        _ground_colour(int(material[i + a, j + b]), point[0], point[1], footprint, seed, wet, out)
        total += out * ((u if a else 1 - u) * (v if b else 1 - v))
    for k in range(3):
        out[k] = total[k]
    return nearest


@compiled
def _normal(kind: int, g: F64, x: float, y: float, z: float) -> Any:
    """Outward normal of a solid at a local point of its surface, and which face: 0 front, 1 rear, 2-3 sides, 4 top."""
    if kind == 1:
        a, b, c = x / g[3] ** 2, y / g[4] ** 2, z / g[5] ** 2
        face = 2
    elif kind == 2:
        if g[5] - abs(z) < 1e-4:
            return 0.0, 0.0, 1.0 if z > 0 else -1.0, 4
        rise = g[8] / (2.0 * g[5])
        r = 1.0 - rise * (z + g[5])
        a, b, c = x / g[3] ** 2, y / g[4] ** 2, rise * r
        face = 2
    else:
        best, face = abs(z) - g[5], 4
        a, b, c = 0.0, 0.0, 1.0 if z > 0 else -1.0
        for side in range(4):
            slope = g[8 + min(side, 2)]
            rise = slope / (2.0 * g[5])
            sign = 1.0 if side % 2 == 0 else -1.0
            f = (x * sign - g[3] if side < 2 else y * sign - g[4]) + rise * (z + g[5])
            f /= np.sqrt(1 + rise * rise)
            if f > best:
                best, face = f, side
                a, b, c = (sign if side < 2 else 0.0), (0.0 if side < 2 else sign), rise
    n = np.sqrt(a * a + b * b + c * c)
    return a / n, b / n, c / n, face


@compiled
def _window(u: float, v: float, seed: int, ground_floor: bool) -> float:
    """How bright the glass is at (u, v) of a wall, metres; -1 on the wall itself."""
    pitch = 1.7 + 1.6 * _random(seed, 1, 5)
    floor = 3.2
    i, j = int(np.floor(u / pitch)), int(np.floor(v / floor))
    fu, fv = u / pitch - i, v / floor - j
    margin = 0.12 + 0.14 * _random(seed, 2, 5)
    low, high = (0.12, 0.8) if ground_floor and j == 0 else (0.3, 0.82)
    if fu < margin or fu > 1 - margin or fv < low or fv > high:
        return -1.0
    return _random(i, j, seed)


@compiled
def _solid_colour(
    material: int, kind: int, face: int, g: F64, x: float, y: float, z: float, footprint: float, p: int, out: F64
) -> Any:
    """Change `out` (the solid's own colour) to the colour at a local point; gives (reflectance, glow)."""
    u, v = (y if face < 2 else x), z + g[5]
    size = g[3] * 7.3 + g[4] * 3.1 + g[5]
    seed = int(size * 1000) & 0xFFFF
    if material in (_FACADE, _BRICK):
        if face == 4:
            _set(out, 0.35, 0.34, 0.33, 1.0)
            return 0.0, 0.0
        gain = 1 + 0.12 * (_noise(u * 0.8, v * 0.8, seed) - 0.5)
        if material == _BRICK:
            row = int(np.floor(v / 0.16))
            gain += 0.3 * (_random(int(np.floor(u / 0.4 + 0.5 * (row % 2))), row, seed) - 0.5) * _fade(0.16, footprint)
        glass = _window(u + 40.0, v, seed, True)
        if glass >= 0:
            see = _fade(1.6, footprint)
            for k in range(3):
                pane = 0.05 + 0.1 * glass + (0.35 if glass > 0.9 else 0.0) * (1.0 - 0.2 * k)
                out[k] = out[k] * 0.6 * (1 - see) + pane * see
            return 0.45, 0.0
        for k in range(3):
            out[k] *= gain
        return 0.0, 0.0
    if material == _LEAVES:
        clump = _noise((x + 0.6 * y) * 1.8, z * 1.8 + y, seed) - 0.5
        leaf = _noise((x + 0.6 * y) * 6, z * 6, seed + 1) + _noise((y - 0.6 * x) * 6, z * 6, seed + 2) - 1.0
        leaf *= _fade(0.2, footprint)
        gain = (0.75 + 0.35 * z / g[5]) * (1 + 0.9 * clump + 1.1 * leaf)
        for k in range(3):
            out[k] *= max(0.15, gain)
        return 0.0, 0.0
    if material == _BARK:
        gain = 0.7 + 0.6 * _noise(np.arctan2(y, x) * 5, z * 1.5, seed)
        for k in range(3):
            out[k] *= gain
        return 0.0, 0.0
    if material == _PAINT:
        if v < 0.1 and face != 4:
            _set(out, 0.06, 0.06, 0.06, 1.0)
            return 0.0, 0.0
        if face >= 2 and face < 4 and abs(abs(u + 0.15) - 0.55) < 0.02:
            for k in range(3):
                out[k] *= 1 - 0.5 * _fade(0.04, footprint)
        return 0.35, 0.0
    if material in (_CABIN, _BAND):
        return _glazing(material, face, g, u, v, out)
    if material == _STRIPES:
        if int(np.floor((u + v) / 0.3)) % 2 == 0:
            see = _fade(0.3, footprint)
            for k in range(3):
                out[k] = out[k] * (1 - 0.5 * see) + 0.85 * 0.5 * see + (0.35 * see if out[k] < 0.4 else 0.0)
        return 0.05, 0.0
    if material == _RINGS:
        return _rings(kind, g, x, z, v, out)
    if material == _RIBS:
        if (u + 100.0) % 0.6 < 0.1:
            for k in range(3):
                out[k] *= 1 - 0.35 * _fade(0.2, footprint)
        return 0.08, 0.0
    if material == _CLOTH:
        gain = 0.85 + 0.3 * _noise(x * 6, z * 5 + y * 3, p)
        for k in range(3):
            out[k] *= gain
        return 0.0, 0.0
    if material in (_GRASS, _DIRT):
        gain = 0.7 + 0.6 * _noise(x * 2.5 + z, y * 2.5, p)
        for k in range(3):
            out[k] *= gain
        return 0.0, 0.0
    if material == _LAMP:
        return 0.1, 0.45
    return (0.5 if material == _GLASS else 0.03), 0.0


@compiled
def _glazing(material: int, face: int, g: F64, u: float, v: float, out: F64) -> Any:
    """Windows of a car's cabin or a bus."""
    if face == 4:
        return 0.3, 0.0
    share = v / (2 * g[5])
    half = g[4] if face < 2 else g[3]
    if material == _CABIN:
        edge = 0.06 + (g[8] if u > 0 else g[9]) * share * (face >= 2)
        pane = 0.08 < share < 0.86 and half - abs(u) > edge + 0.05 and (face < 2 or abs(u) > 0.05)
    else:
        pane = 0.06 < share < 0.68 and half - abs(u) > 0.1 and (face < 2 or (u + 50.0) % 1.5 > 0.13)
    if not pane:
        return 0.35, 0.0
    _set(out, 0.045, 0.05, 0.055, 1.0)
    return 0.6, 0.0


@compiled
def _rings(kind: int, g: F64, x: float, z: float, v: float, out: F64) -> Any:
    """The white bands of a cone, or a wheel's rim and spokes."""
    if kind == 2:
        share = v / (2 * g[5])
        if 0.38 < share < 0.56 or 0.7 < share < 0.82:
            _set(out, 0.85, 0.85, 0.85, 1.0)
        return 0.05, 0.0
    r = np.sqrt((x / g[3]) ** 2 + (z / g[5]) ** 2)
    if r < 0.78:
        spoke = np.sin(np.arctan2(z, x) * 8) > 0.4
        _set(out, 0.42, 0.42, 0.42, 1.2 if spoke else 0.75)
    return 0.0, 0.0


@compiled
def shade(
    found: int,
    point: F64,
    d: F64,
    footprint: float,
    out: F64,
    light: F64,
    colour: NDArray[np.float32],
    material: NDArray[np.uint8],
    geometry: F64,
    tags: NDArray[np.int32],
    frame: F64,
) -> Any:
    """Own colour of the surface at `point` into `out`.

    Gives (cosine to the sun, normal x, y, z, glow, share of the ambient light, a number that differs between surfaces).
    """
    seed = int(light[17])
    if found < 0:
        what = _ground(point, footprint / max(0.15, -d[2]), seed, light[16], material, frame, out)
        a, b, c, shine, glow = 0.0, 0.0, 1.0, 0.3 * light[16] * (what != _GRASS), 0.0
        surface = 1000 + what
    else:
        g = geometry[found]
        px, py, z = point[0] - g[0], point[1] - g[1], point[2] - g[2]
        x, y = px * g[6] + py * g[7], py * g[6] - px * g[7]
        nx, ny, c, face = _normal(tags[found, 0], g, x, y, z)
        a, b = nx * g[6] - ny * g[7], nx * g[7] + ny * g[6]
        for k in range(3):
            out[k] = colour[found, k]
        shine, glow = _solid_colour(tags[found, 3], tags[found, 0], face, g, x, y, z, footprint, found, out)
        surface = 2000 + found * 8 + face
    if shine > 0:
        toward = a * d[0] + b * d[1] + c * d[2]
        grazing = shine * (0.12 + 0.88 * (1 - min(1.0, abs(toward))) ** 3)
        up = max(0.0, d[2] - 2 * toward * c) ** 0.5
        for k in range(3):
            mirrored = light[12 + k] * (1 - up) + light[9 + k] * up if d[2] - 2 * toward * c > -0.1 else 0.15
            out[k] = out[k] * (1 - grazing) + mirrored * grazing
    cosine = a * light[0] + b * light[1] + c * light[2]
    # Light from the sky falls on what faces up; what stands near the ground gets less.
    ambient = (0.62 + 0.38 * c) * (0.75 + 0.25 * min(1.0, point[2] / 0.8) if found >= 0 else 1.0)
    return max(0.0, cosine), a, b, c, glow, ambient, surface
