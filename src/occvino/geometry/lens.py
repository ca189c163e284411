"""Lenses that distort: from straight rays to where the lens puts them, and back.

A point at (X, Y, Z) of the sensor frame is at (x, y) = (X/Z, Y/Z) of a pinhole, and a lens moves it to (x', y'); the
intrinsics then give the pixel. The three models are OpenCV's and ROS's. Sources of the formulas: OpenCV's pages
"Camera Calibration and 3D Reconstruction" and "Fisheye camera model"; the twin in the tests is OpenCV itself.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from occvino.errors import RigError
from occvino.geometry.transforms import Matrix, inverse3x3

LensModel: TypeAlias = Literal["plumb_bob", "rational_polynomial", "fisheye"]

COUNTS: dict[LensModel, tuple[int, ...]] = {
    "plumb_bob": (4, 5),
    "rational_polynomial": (8, 12, 14),
    "fisheye": (4,),
}
"""How many coefficients each model takes."""

_CLOSE = 1e-12
"""Where the iteration ends, in units of the focal length: a thousandth of a millionth of a pixel."""
_SOLVED = 1e-9
"""What still counts as solved."""
_NEARLY_BEHIND = np.radians(89.99)
_LARGEST = 1e9
"""No lens has coefficients like this one, and products of such overflow."""
_NOTHING = 1e-30
"""Of a polynomial's largest coefficient: where a smaller one counts, no ray goes, and dividing by it overflows."""


@dataclass(frozen=True)
class Lens:
    """How a camera's lens distorts.

    Args:
        model: `plumb_bob` (k1 k2 p1 p2 [k3]), `rational_polynomial` (k1 k2 p1 p2 k3 k4 k5 k6 [s1..s4 [tx ty]]), both as
            OpenCV's `distCoeffs`; or `fisheye` (k1..k4), which ROS and Kalibr call `equidistant`.
        coefficients: in that order, without a unit; the last two of fourteen are angles in radians.

    Raises:
        RigError: another model, another number of coefficients, or one that is not finite.
    """

    model: LensModel
    coefficients: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "coefficients", tuple(float(value) for value in self.coefficients))
        if self.model not in COUNTS:
            raise RigError(f"lens model {self.model!r} is not known: expected one of {', '.join(COUNTS)}")
        if len(self.coefficients) not in COUNTS[self.model]:
            wanted = " or ".join(map(str, COUNTS[self.model]))
            raise RigError(
                f"a {self.model} lens has {wanted} coefficients, and {len(self.coefficients)} are given: "
                f"{list(self.coefficients)}"
            )
        if not np.isfinite(self.coefficients).all():
            raise RigError(f"{self.model}: the coefficients {list(self.coefficients)} are not all finite")
        if max(map(abs, self.coefficients)) > _LARGEST:
            raise RigError(
                f"{self.model}: the coefficients {list(self.coefficients)} are of no lens, expected numbers near 1"
            )

    @property
    def straight(self) -> bool:
        """Whether it leaves all points where they are, as a pinhole does. A fisheye lens never does."""
        return self.model != "fisheye" and not any(self.coefficients)

    @cached_property
    def fold(self) -> float:
        """The angle to the optical axis, radians, from which on its polynomial goes back or leaves all bounds.

        A calibration says nothing there. pi/2 where a pinhole model holds everywhere, pi for such a fisheye.
        """
        if self.model == "fisheye":
            return min([np.pi, *np.sqrt(_positive_roots(_derivative_of_fisheye(self.coefficients)))])
        upper, lower = self._radial()
        slope = np.polysub(
            np.polymul(upper, lower),
            -2 * np.polymul([1, 0], np.polysub(np.polymul(np.polyder(upper), lower), np.polymul(upper, _der(lower)))),
        )
        squares = [*_positive_roots(slope), *_positive_roots(lower)]
        return float(np.arctan(np.sqrt(min(squares)))) if squares else np.pi / 2

    def distorted(self, points: Matrix) -> Matrix:
        """Where the lens puts points (x, y) of a pinhole [..., 2]; NaN beyond `fold`."""
        if self.model == "fisheye":
            radius = np.linalg.norm(points, axis=-1)
            return points * _ratio(self._theta_d(np.arctan(radius)), radius, np.arctan(radius) < self.fold)[..., None]
        moved = self._bent(points)[0]
        beyond = np.arctan(np.linalg.norm(points, axis=-1)) >= self.fold
        moved[beyond] = np.nan
        return self._tilted(moved)

    def rays(self, points: Matrix) -> Matrix:
        """Unit rays [..., 3] of the sensor frame that the lens puts at (x', y') [..., 2]; NaN where there is none.

        Those of a fisheye may look sideways or back, with z of 0 or less. Newton's iteration, to 1e-9 of the focal
        length.
        """
        flat = np.asarray(points, np.float64).reshape(-1, 2)
        found = self._fisheye_rays(flat) if self.model == "fisheye" else self._pinhole_rays(flat)
        return found.reshape(*points.shape[:-1], 3)

    def placed(self, rays: Matrix) -> Matrix:
        """Where (x', y') [..., 2] the lens puts rays [..., 3] of any length of the sensor frame, the inverse of `rays`.

        NaN beyond `fold`, and at 90 degrees and more to the axis but for a fisheye.
        """
        radius, z = np.linalg.norm(rays[..., :2], axis=-1), rays[..., 2]
        theta = np.arctan2(radius, z)
        if self.model == "fisheye":
            return rays[..., :2] * _ratio(self._theta_d(theta), radius, theta < self.fold)[..., None]
        ahead = theta < _NEARLY_BEHIND
        return self.distorted(np.where(ahead[..., None], rays[..., :2] / np.where(ahead, z, 1)[..., None], np.nan))

    def slopes(self, points: Matrix) -> Matrix:
        """The (x, y) of a pinhole [..., 2] of what the lens puts at (x', y'), the inverse of `distorted`.

        NaN where no ray comes from, or one at 90 degrees and more to the axis, which has no depth along it.
        """
        ray = self.rays(points)
        ahead = ray[..., 2:] > np.cos(_NEARLY_BEHIND)
        return np.where(ahead, ray[..., :2] / np.where(ahead, ray[..., 2:], 1), np.nan)

    def _radial(self) -> tuple[Any, Any]:
        """Numerator and denominator of the radial factor, as polynomials in r^2, the highest power first."""
        k = (*self.coefficients, *[0.0] * 8)
        return np.array([k[4], k[1], k[0], 1.0]), np.array([k[7], k[6], k[5], 1.0])[-4:]

    def _bent(self, points: Matrix) -> tuple[Matrix, Matrix]:
        """Points moved by all but the tilt [..., 2], and the derivatives [..., 2, 2] of that."""
        k = (*self.coefficients, *[0.0] * (14 - len(self.coefficients)))
        p1, p2, s = k[2], k[3], k[8:12]
        x, y = points[..., 0], points[..., 1]
        square = x * x + y * y
        upper, lower = self._radial()
        top, bottom = np.polyval(upper, square), np.polyval(lower, square)
        factor = top / bottom
        slope = 2 * (np.polyval(np.polyder(upper), square) - factor * np.polyval(_der(lower), square)) / bottom
        moved = np.stack(
            [
                x * factor + 2 * p1 * x * y + p2 * (square + 2 * x * x) + (s[0] + s[1] * square) * square,
                y * factor + p1 * (square + 2 * y * y) + 2 * p2 * x * y + (s[2] + s[3] * square) * square,
            ],
            axis=-1,
        )
        prism = 2 * (s[0] + 2 * s[1] * square), 2 * (s[2] + 2 * s[3] * square)
        cross = slope * x * y
        across = np.stack([factor + slope * x * x + 2 * p1 * y + 6 * p2 * x + prism[0] * x,
                           cross + 2 * p1 * x + 2 * p2 * y + prism[0] * y], axis=-1)  # fmt: skip
        down = np.stack([cross + 2 * p1 * x + 2 * p2 * y + prism[1] * x,
                         factor + slope * y * y + 6 * p1 * y + 2 * p2 * x + prism[1] * y], axis=-1)  # fmt: skip
        return moved, np.stack([across, down], axis=-2)

    @cached_property
    def _tilt(self) -> Matrix | None:
        """The homography [3, 3] of a sensor that is not square to the axis; None where there is none."""
        if len(self.coefficients) < 14 or not any(self.coefficients[12:]):
            return None
        (sin_x, sin_y), (cos_x, cos_y) = np.sin(self.coefficients[12:]), np.cos(self.coefficients[12:])
        about_x = np.array([[1, 0, 0], [0, cos_x, sin_x], [0, -sin_x, cos_x]])
        about_y = np.array([[cos_y, 0, -sin_y], [0, 1, 0], [sin_y, 0, cos_y]])
        turned = about_y @ about_x
        onto_plane = np.array([[turned[2, 2], 0, -turned[0, 2]], [0, turned[2, 2], -turned[1, 2]], [0, 0, 1]])
        return onto_plane @ turned

    def _tilted(self, points: Matrix) -> Matrix:
        return points if self._tilt is None else _through(self._tilt, points)

    def _pinhole_rays(self, points: Matrix) -> Matrix:
        aim = points if self._tilt is None else _through(inverse3x3(self._tilt), points)
        guess = self._radial_guess(aim)
        with np.errstate(all="ignore"):  # points that have no ray wander off: they are NaN in the end
            for _ in range(50):
                moved, slope = self._bent(guess)
                off = moved - aim
                if np.nanmax(np.abs(off), initial=0) < _CLOSE:
                    break
                guess = guess - _solved(slope, off)
            moved, slope = self._bent(guess)
            good = (np.abs(moved - aim).max(-1) < _SOLVED) & (np.linalg.det(slope) > 0)
            good &= np.arctan(np.linalg.norm(guess, axis=-1)) < self.fold
        ray = np.concatenate([np.where(good[:, None], guess, np.nan), np.ones_like(guess[:, :1])], axis=-1)
        return ray / np.linalg.norm(ray, axis=-1, keepdims=True)

    def _radial_guess(self, aim: Matrix) -> Matrix:
        """Where the points come from if only the radial part bends: from a table, so that no fold is jumped over."""
        radius = np.tan(np.linspace(0, min(self.fold, _NEARLY_BEHIND), 2049))
        upper, lower = self._radial()
        with np.errstate(all="ignore"):
            bent = radius * np.polyval(upper, radius**2) / np.polyval(lower, radius**2)
        rising = np.isfinite(bent)
        wanted = np.linalg.norm(aim, axis=-1)
        return aim * _ratio(np.interp(wanted, bent[rising], radius[rising]), wanted, np.True_)[:, None]

    def _theta_d(self, theta: Matrix) -> Matrix:
        return theta * np.polyval([*self.coefficients[::-1], 1.0], theta**2)

    def _fisheye_rays(self, points: Matrix) -> Matrix:
        wanted = np.linalg.norm(points, axis=-1)
        table = np.linspace(0, self.fold, 2049)
        theta = np.interp(wanted, self._theta_d(table), table)
        slope = _derivative_of_fisheye(self.coefficients)
        with np.errstate(all="ignore"):
            for _ in range(20):
                off = self._theta_d(theta) - wanted
                if np.nanmax(np.abs(off), initial=0) < _CLOSE:
                    break
                theta = np.clip(theta - off / np.polyval(slope, theta**2), 0, self.fold)
        good = np.abs(self._theta_d(theta) - wanted) < _SOLVED
        across = points * _ratio(np.sin(theta), wanted, np.True_)[:, None]
        ray = np.concatenate([across, np.cos(theta)[:, None]], axis=-1)
        return np.where(good[:, None], ray, np.nan)


def check_inside(name: str, lens: Lens, intrinsics: Matrix, width: int, height: int) -> None:
    """Refuse a lens whose polynomial folds back inside of the image, at less than 90 degrees from the axis.

    Raises:
        RigError: says at which radius, and how far the image goes.
    """
    if lens.model == "fisheye" and lens.fold >= np.pi / 2:
        return
    u, v = np.linspace(-0.5, width - 0.5, 129), np.linspace(-0.5, height - 0.5, 129)
    border = np.concatenate([np.stack(np.broadcast_arrays(u, row), -1) for row in (v[0], v[-1])])
    border = np.concatenate([border, *(np.stack(np.broadcast_arrays(column, v), -1) for column in (u[0], u[-1]))])
    homogeneous = np.concatenate([border, np.ones_like(border[:, :1])], axis=1)
    aims = (homogeneous @ np.linalg.inv(intrinsics).T)[:, :2]
    lost = np.isnan(lens.rays(aims)[:, 0])
    if not lost.any():
        return
    aim = aims[lost][0]
    edge = float(np.linalg.norm(aim / np.linalg.norm(aim) * _last_radius(lens, aim) @ intrinsics[:2, :2].T))
    far = np.linalg.norm(border[lost] - intrinsics[:2, 2], axis=1)
    raise RigError(
        f"{name}: the {lens.model} lens folds back at {np.degrees(lens.fold):.0f} degrees from the axis, a radius of "
        f"{edge:.0f} pixels from the principal point, and the image goes on to {far.max():.0f}: the "
        "coefficients hold only nearer. Calibrate with images that show the board in the corners, or with the "
        "fisheye model, or cut the images"
    )


def _last_radius(lens: Lens, towards: Matrix) -> float:
    """The largest radius along a direction from which a ray comes, in units of the focal length."""
    low, high = 0.0, float(np.linalg.norm(towards))
    for _ in range(40):
        middle = (low + high) / 2
        lost = np.isnan(lens.rays(towards[None] * (middle / np.linalg.norm(towards)))).any()
        low, high = (low, middle) if lost else (middle, high)
    return low


def _derivative_of_fisheye(k: tuple[float, ...]) -> Any:
    """Of theta_d by theta, as a polynomial in theta^2."""
    return [9 * k[3], 7 * k[2], 5 * k[1], 3 * k[0], 1.0]


def _der(polynomial: Any) -> Any:
    return np.polyder(polynomial) if len(polynomial) > 1 else np.zeros(1)


def _positive_roots(polynomial: Any) -> list[float]:
    """Where a polynomial crosses zero right of it."""
    size = np.abs(polynomial)
    kept = np.where(size < _NOTHING * size.max(), 0.0, polynomial)
    return [float(root.real) for root in np.roots(kept) if root.real > 0 and abs(root.imag) < 1e-9 * abs(root)]


def _ratio(upper: Matrix, lower: Matrix, valid: NDArray[np.bool_] | np.bool_) -> Matrix:
    """`upper / lower`, 1 where both go to zero, NaN where it is not valid."""
    return np.where(valid, np.where(lower > 1e-12, upper / np.maximum(lower, 1e-12), 1.0), np.nan)


def _through(homography: Matrix, points: Matrix) -> Matrix:
    moved = points @ homography[:, :2].T + homography[:, 2]
    return moved[..., :2] / moved[..., 2:]


def _solved(slope: Matrix, off: Matrix) -> Matrix:
    """`inverse(slope) @ off` for matrices [K, 2, 2] and vectors [K, 2]."""
    (a, b), (c, d) = np.moveaxis(slope[:, 0], -1, 0), np.moveaxis(slope[:, 1], -1, 0)
    x, y = off[:, 0], off[:, 1]
    return np.stack([d * x - b * y, a * y - c * x], axis=-1) / (a * d - b * c)[:, None]
