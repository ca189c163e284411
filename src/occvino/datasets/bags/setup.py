"""How a bag will be read: which topic is which camera, and what says where the vehicle is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from occvino.datasets.bags.bag import Bag
from occvino.datasets.bags.calibration import Calibration, calibration_of
from occvino.datasets.bags.messages import BagError, Kind
from occvino.datasets.bags.names import CameraTopics, guess, match, named
from occvino.datasets.bags.options import STANDS_STILL, BagOptions
from occvino.datasets.bags.survey import STAMPS, Survey, look
from occvino.errors import warn

_FEW = 3
FIXED_FRAMES = ("odom", "map")
"""Where nobody names one: odom first, since it does not jump."""


@dataclass(frozen=True)
class PoseSource:
    """What says where the vehicle is.

    Attributes:
        frame: that the vehicle moves in, or the one at the top of the odometry.
        odometry: its topic; None for tf.
        child: the frame that odometry tells the pose of.
    """

    frame: str
    odometry: str | None = None
    child: str = ""

    def __str__(self) -> str:
        return f"{self.odometry} ({self.frame} -> {self.child})" if self.odometry else f"tf, in frame {self.frame}"


@dataclass(frozen=True, eq=False)
class Setup:
    """How a bag will be read.

    Attributes:
        cameras: in order; moments are those of the first one.
        frames: the optical frame of each camera, by name; empty where a rig says where they are.
        calibrations: of each camera at the beginning, by name.
        poses: where the vehicle is; None where it stands still.
        period: nanoseconds between the images of the first camera.
        survey: what the bag looks like.
    """

    cameras: tuple[CameraTopics, ...]
    frames: Mapping[str, str]
    calibrations: Mapping[str, Calibration]
    poses: PoseSource | None
    period: int
    survey: Survey

    def lines(self) -> list[str]:
        """What was chosen, in words."""
        told = []
        for camera in self.cameras:
            seen, size = self.survey.images[camera.image], self.calibrations[camera.name]
            told.append(
                f"{camera.name}: {camera.image} ({seen.what}), {camera.info or f'rig {size.width}x{size.height}'}"
            )
        return [
            *told,
            f"ego pose: {self.poses or 'none, the vehicle stands still'}; a frame every {self.period / 1e9:.3g} s",
        ]


def choose_cameras(bag: Bag, options: BagOptions, wanted: Sequence[str] | None) -> tuple[CameraTopics, ...]:
    """The cameras to read, by the names that a network has; all that are found when left out.

    Raises:
        BagError: a topic is missing, or which one a camera is cannot be told.
    """
    needs_info = options.rig is None
    told = named(bag.topics, options.topics, options.infos, needs_info=needs_info)
    guessed = guess(bag.topics, needs_info=needs_info)
    if wanted is None:
        chosen = told or guessed
        if not chosen:
            images = [topic.name for topic in bag.topics.values() if topic.kind in (Kind.IMAGE, Kind.COMPRESSED)]
            raise BagError(
                f"{bag.path}: no image topic has a camera_info beside it; image topics: {', '.join(images) or 'none'}. "
                "Name both: --topic CAM_FRONT=/IMAGES --camera-info CAM_FRONT=/INFO"
            )
        return tuple(chosen.values())
    unknown = [name for name in told if name not in wanted]
    if unknown:
        raise BagError(f"--topic {unknown[0]}={options.topics[unknown[0]]}: the network takes {', '.join(wanted)}")
    taken = {camera.image for camera in told.values()}
    free = {name: camera for name, camera in guessed.items() if camera.image not in taken}
    rest = match(free, [name for name in wanted if name not in told], bag.path)
    return tuple({**rest, **told}[name] for name in wanted)


def set_up(bag: Bag, options: BagOptions, wanted: Sequence[str] | None, *, still: bool = False) -> Setup:
    """Look at a bag and decide how to read it.

    Args:
        bag: an open one.
        options: what was said.
        wanted: names of the cameras, in order; all that are found when left out.
        still: the calibration alone is wanted, not where the vehicle is.

    Raises:
        BagError: something is missing, or in doubt; names it and the option that cures it.
    """
    cameras = choose_cameras(bag, options, wanted)
    counts = {camera.image: 1 if still else min(STAMPS, bag.topics[camera.image].count) for camera in cameras}

    def enough(survey: Survey) -> bool:
        return all(_is_placed(survey, camera, options) for camera in cameras) and (still or _is_moving(survey, options))

    survey = look(bag, counts, round(options.pose_gap * 1e9), enough)
    frames: dict[str, str] = {}
    calibrations: dict[str, Calibration] = {}
    for camera in cameras:
        if camera.image not in survey.images:
            raise BagError(
                f"{camera.image} ({camera.name}) has no image in the first 10 s: cut the bag, or leave it out"
            )
        _check_stamps(camera.image, survey.stamps[camera.image])
        calibrations[camera.name] = _calibration(bag, camera, survey, options)
        if options.rig is None:
            frames[camera.name] = _frame(camera, survey)
            survey.tree.moving_between(frames[camera.name], _base(survey, options))
    poses = None if still else pose_source(bag, survey, options)
    return Setup(cameras, frames, calibrations, poses, _period(survey, cameras), survey)


def pose_source(bag: Bag, survey: Survey, options: BagOptions) -> PoseSource | None:
    """What says where the vehicle is; None where it is said to stand still.

    Raises:
        BagError: there is nothing, or what was named is missing or not connected with the vehicle.
    """
    if options.fixed_frame == STANDS_STILL:
        return None
    if options.odometry is not None:
        return _odometry(bag, survey, options, options.odometry)
    base = _base(survey, options)
    if options.fixed_frame is not None:
        survey.tree.moving_between(base, options.fixed_frame)
        return PoseSource(options.fixed_frame)
    found = next((frame for frame in FIXED_FRAMES if survey.tree.connects(base, frame)), None)
    if found is not None:
        return PoseSource(found)
    if len(survey.odometry) == 1:
        return _odometry(bag, survey, options, next(iter(survey.odometry)))
    top = survey.tree.root(base)
    several = f"several topics of odometry ({', '.join(survey.odometry)})" if survey.odometry else "no odometry"
    raise BagError(
        f"{bag.path} does not say where the vehicle is: above {base} in tf is {top}, there is neither odom nor map, "
        f"and {several}. Give --fixed-frame FRAME or --odometry /TOPIC; or --fixed-frame none if it stands still"
    )


def _odometry(bag: Bag, survey: Survey, options: BagOptions, topic: str) -> PoseSource:
    first = survey.odometry.get(topic)
    if first is None:
        known = [each.name for each in bag.topics.values() if each.kind is Kind.ODOMETRY]
        raise BagError(f"--odometry {topic}: no nav_msgs/Odometry there; topics of it: {', '.join(known) or 'none'}")
    child = first.child or options.base_link
    if child != options.base_link and not survey.tree.connects(child, options.base_link):
        raise BagError(
            f"{topic} tells where {child} is, and tf does not connect it with {options.base_link}: name it with "
            f"--base-link {child} if that is the vehicle, or record /tf_static"
        )
    return PoseSource(first.parent, topic, child)


def _base(survey: Survey, options: BagOptions) -> str:
    """The vehicle's frame, which may be missing in tf only where nothing is looked for in it."""
    if options.base_link in survey.tree or (options.rig is not None and options.odometry is not None):
        return options.base_link
    edges = survey.tree.edges
    roots = sorted({survey.tree.root(frame) for frame in edges})
    raise BagError(
        f"tf has no frame {options.base_link!r}, which is to be the vehicle's: name it with --base-link. Frames: "
        f"{', '.join(sorted({*edges, *edges.values()})) or 'none'}; at the top: {', '.join(roots) or 'none'}"
        + ("" if edges else ". Record /tf_static, or give the calibration with --rig")
    )


def _check_stamps(topic: str, stamps: Sequence[int]) -> None:
    """Images are put together by the time stamps of their headers."""
    if len(stamps) > 1 and len(set(stamps)) == 1:
        raise BagError(
            f"{topic}: the first {len(stamps)} images all have the time stamp {stamps[0] / 1e9:g} s: the driver has to "
            "set header.stamp to the time of exposure"
        )


def _is_placed(survey: Survey, camera: CameraTopics, options: BagOptions) -> bool:
    if options.rig is not None or camera.info is None:
        return True
    if camera.info not in survey.infos or camera.image not in survey.images:
        return False
    return survey.tree.connects(_frame(camera, survey, tell=False), options.base_link)


def _is_moving(survey: Survey, options: BagOptions) -> bool:
    if options.odometry is not None:
        return options.odometry in survey.odometry
    wanted = options.fixed_frame or FIXED_FRAMES[0]
    return wanted == STANDS_STILL or survey.tree.connects(options.base_link, wanted)


def _frame(camera: CameraTopics, survey: Survey, *, tell: bool = True) -> str:
    """The optical frame: that of the images, or that of the camera_info where they name none."""
    assert camera.info is not None
    of_images, of_info = survey.images[camera.image].frame, survey.infos[camera.info].frame
    if not (of_images or of_info):
        raise BagError(f"{camera.image} and {camera.info} have no frame_id: give the calibration with --rig")
    if tell and of_images and of_info and of_images != of_info:
        warn(f"{camera.image} is in frame {of_images} and {camera.info} in {of_info}: {of_images} is taken")
    return of_images or of_info


def _calibration(bag: Bag, camera: CameraTopics, survey: Survey, options: BagOptions) -> Calibration:
    if camera.info is None:
        assert options.rig is not None
        return Calibration.of_camera(options.rig.select([camera.name]).cameras[0])
    if camera.info not in survey.infos:
        raise BagError(f"{bag.path}: {camera.info} has no message; give the calibration with --rig")
    return calibration_of(survey.infos[camera.info], camera.info, rectified=camera.rectified)


def _period(survey: Survey, cameras: Sequence[CameraTopics]) -> int:
    """The usual time between two images of the first camera, nanoseconds; half a second where there are no two.

    In a bag of a few frames, one that is missing would count for much: there, all cameras are asked.
    """
    steps: list[int] = []
    for camera in cameras:
        steps += [b - a for a, b in pairwise(survey.stamps[camera.image]) if b > a]
        if len(steps) > _FEW:
            break
    return round(median(steps)) if steps else 5 * 10**8
