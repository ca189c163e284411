"""Images and a rig in, occupancy out: the object an integrator calls ten times a second."""

from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from occvino.artifact import IR, Artifact
from occvino.errors import ArtifactError, RigError
from occvino.geometry.inputs import GeometryCache
from occvino.geometry.lift import PoolingPlan
from occvino.geometry.matrices import POINTS_LOST
from occvino.geometry.rig import Rig
from occvino.images.decode import jpeg_decoder
from occvino.images.exif import Exif, exif_of
from occvino.images.find import Images
from occvino.images.inputs import ImagesAndRig, image_inputs, with_past
from occvino.images.undistort import undistorted
from occvino.renamed import renamed_keywords
from occvino.runtime.compiled import Compiled, refuse_choices
from occvino.runtime.cut import cut_at_images
from occvino.runtime.devices import Running, Settings, check_release
from occvino.runtime.frame import Frame, Inferred, Prepared
from occvino.runtime.memory import Limits, Memory, Recalled, State, memory_of
from occvino.runtime.names import device_name
from occvino.runtime.network import Network
from occvino.runtime.occupancy import Occupancy
from occvino.runtime.panoptic import Mapping
from occvino.runtime.stream import Failure, Item, stream, usual_workers


class Pipeline:
    """An artifact compiled for a device.

    A call is three steps: `prepare` (host: images and plan), `infer` (device), `finish` (host: instances, result).

    The pooling plan is built from the rig on the first call and again whenever the rig moves; a call with the same
    calibration as the one before reuses it. What remembers past frames needs their rigs too, so that there
    `infer` builds the plan.

    An artifact of a temporal model in a streaming form remembers, in `memory`, what later calls need of this one
    (docs/temporal.md). Call it with the frames of a scene in order, and `reset` it where another scene begins.

    An artifact that takes calibration as matrices (`convert(..., calibration="matrices")`) is given those of the rig;
    a plan is made where cameras were mounted anew, to look for doubts about them.

    An artifact that takes raw images (`convert(..., image_input=...)`) resizes them itself. Where a camera of the
    rig has another size, Pillow resizes all images on the host, for a copy of the network without that part, with a
    `HostResizeWarning`.

    Args:
        artifact: folder made by `convert`, or by `occvino compile` from one. Every file is checked against its hash.
        device: any OpenVINO device string, in capitals or not; the CPU when left out, or the one it was compiled for.
        precision: what to compute in, "fp32", "fp16" or "bf16"; the device's own choice when left out.
        threads: of the CPU plugin; all when left out.
        cache: folder for compiled models, which start faster from it; made where it is missing.
        stages: a device for each of "encoder", "pool" and "trunk" instead of one `device` (see `runtime.stages`).
        hint: "latency" or "throughput"; the device's own choice when left out.
        streams: how many inferences run side by side on a device.
        mapping: "official" or "corrected": how a panoptic model's centres are read (see `runtime.panoptic`). Published
            figures contain the two bugs of the official one.
        limits: how far apart two successive frames of a stream may be before the past is forgotten.
        exif: what to do about images that EXIF says are stored turned: use them as stored and "warn", as the official
            loader does without a word; "apply" it; or "ignore" it.
        undistort: straighten the images of cameras with a lens on the host first (extra `undistort`), and use the rig
            without lenses. Else they go in as they are, and the plan follows the lens (docs/your-cameras.md).

    Several threads may call one object, unless it is a stream: that takes all its frames from one thread.

    Raises:
        ArtifactError: the folder is incomplete or altered, or takes images that cannot be undistorted.
        DeviceError: a device cannot be had, or does otherwise than was asked for.
        OccvinoError: there is no such mapping or `exif`, or a mapping was asked for and the model finds no instances.
    """

    def __init__(
        self,
        artifact: str | Path | Artifact,
        device: str | None = None,
        *,
        precision: str | None = None,
        threads: int | None = None,
        cache: str | Path | None = None,
        stages: dict[str, str] | None = None,
        hint: str | None = None,
        streams: int | None = None,
        mapping: str = "official",
        limits: Limits | None = None,
        exif: str = "warn",
        undistort: bool = False,
    ) -> None:
        self._exif: Exif = exif_of(exif)
        self.artifact = artifact if isinstance(artifact, Artifact) else Artifact.open(artifact)
        self._undistort = undistort
        takes = self.artifact.manifest.image_input
        if undistort and takes and takes.layout != "rgb":
            raise ArtifactError(
                f"{self.artifact.path} takes images of {takes}, and only images in RGB are undistorted: convert with "
                "--image-layout rgb"
            )
        self._mapping = Mapping.named(mapping, self.artifact.variant)
        check_release(ov.__version__)
        settings = Settings(precision, threads, hint, streams, cache)
        compiled = Compiled.of(self.artifact.path)
        if compiled:
            refuse_choices(
                compiled, self.artifact.path, device and device_name(device), {**asdict(settings), "stages": stages}
            )
            device = compiled.device
        self._asked = device or "CPU", stages, settings
        imported = compiled.load(self.artifact) if compiled else None
        self._network = Network(self.artifact.path / IR, *self._asked, imported=imported)
        self._resized_network: Network | None = None
        self._lock = Lock()
        self._baked = self.artifact.baked_rig
        manifest = self.artifact.manifest
        self._geometry = GeometryCache(self.artifact.variant, manifest.temporal, manifest.columns, manifest.matrices)
        self.memory = memory_of(self.artifact, limits)
        self.parallel = self._network.parallel if self.memory is None else 1
        """How many inferences may be under way at a time."""

    @renamed_keywords(frames="images")
    def __call__(
        self,
        images: Images,
        rig: Rig | None = None,
        past: Sequence[ImagesAndRig] = (),
        *,
        scene: str | None = None,
        time: float | None = None,
    ) -> Occupancy:
        """Occupancy of one frame; the arguments are those of `Frame`.

        A stream warns with `SceneCutWarning` or `DroppedFrameWarning` if the frame does not follow the previous
        one, and `Occupancy.history` says which past frames it used.

        Raises:
            FrameError: an image is missing, unreadable or of another size than the rig says.
            ArtifactError: no rig, other cameras than the artifact's, or another calibration than the baked one.
        """
        prepared = self.prepare(Frame(images, rig, past, scene, time))
        return self.finish(prepared, self.infer(prepared))

    def reset(self) -> None:
        """Forget the past frames: the next one is the first of a scene. Does nothing where nothing is remembered."""
        if self.memory is not None:
            self.memory.reset()

    @renamed_keywords(shots="frames")
    def stream(
        self,
        frames: Iterable[Item],
        *,
        window: int | None = None,
        workers: int | None = None,
    ) -> Generator[Occupancy | Failure]:
        """Occupancy of many frames, in their order, while images, plans, inference and instances overlap.

        `frames` is asked for the next one in the thread that iterates, and only while fewer than `window` are under
        way. A frame that fails gives a `Failure` in its place, which is false in a condition, and the stream goes on;
        an error of `frames` itself is raised after the results of the frames before it. Closing the generator, or
        leaving the loop, drops what waits, lets inferences under way end, and leaves no thread behind.

        The images of a frame must stay as they are until its result is there: a buffer that is filled again for the
        next frame would change under the stream's hands, except with `window=1`.

        Args:
            frames: a `Frame` each, or (images, rig); or an exception, for a frame that could not be read: it comes out
                as a `Failure` in its place.
            window: the most frames under way, results that nobody took yet included. 1 overlaps nothing and gives each
                result before the next frame is asked for. By default twice `parallel` and one for each worker.
            workers: threads for images, plans and instances; by default one a core, at most 8. Those with no frame of
                their own read images for the others.

        Raises:
            OccvinoError: window or workers below 1.
        """
        return stream(self, frames, window=window, workers=workers)

    @renamed_keywords(frames="images")
    def inputs(
        self, images: Images, rig: Rig | None = None, past: Sequence[ImagesAndRig] = ()
    ) -> dict[str, NDArray[np.generic]]:
        """What the IR is given for one frame, by the names of its inputs; arguments and errors as in `__call__`."""
        prepared = self.prepare(Frame(images, rig, past))
        if self.memory is None:
            return prepared.inputs
        memory = memory_of(self.artifact, self.memory.limits) if prepared.past else self.memory
        assert memory is not None
        self._replay(memory, prepared.past)
        recalled = self._recalled(memory, prepared, follows=bool(prepared.past))
        return {name: np.array(value) for name, value in recalled[1].items()}

    def prepare(self, frame: Frame, pool: Executor | None = None) -> Prepared:
        """Read the images and build the plan, which a stream leaves to `infer`. Several threads may prepare at a time.

        Args:
            frame: what was given.
            pool: its idle threads read images too; this thread may be one of them. By default this frame gets a pool
                of its own: with this thread, one thread a core, at most 8.

        Raises:
            FrameError, ArtifactError: as a call. Of several errors, that of the first camera of the network is raised.
        """
        if pool is None:
            with ThreadPoolExecutor(max(1, usual_workers() - 1), "occvino-host") as own:
                return self.prepare(frame, own)
        rig = frame.rig or self._baked
        if rig is None:
            raise ArtifactError(f"{self.artifact.path} takes the calibration as an input: give the rig of these images")
        variant, takes = self.artifact.variant, self.artifact.manifest.image_input
        images, past = frame.images, frame.past
        if self._undistort:
            images, rig = undistorted(images, rig, pool, self._exif)
            past = past if self.memory else [undistorted(*before, pool, self._exif) for before in past]
        seen = with_past(images, rig, past, variant.frames)
        earlier: tuple[Prepared, ...] = ()
        if self.memory is not None:  # a stream has the past; where the caller gives past frames, these are run first
            earlier = tuple(self.prepare(Frame(*before), pool) for before in reversed(frame.past))
            seen = seen[:1]
        rigs = [self.artifact.match(rig) for _, rig in seen]
        inputs: dict[str, NDArray[np.generic]] = {**image_inputs(seen, rigs, variant, takes, pool, self._exif)}
        if self.memory is None and self._baked is None:
            inputs |= self._geometry.inputs(rigs)
        return Prepared(frame, inputs, rigs[0], earlier)

    def _network_for(self, inputs: dict[str, NDArray[np.generic]]) -> Network:
        """The network that takes these images; the one without the resizing part is compiled when first needed."""
        if self.artifact.manifest.image_input is None or "frames" in inputs:
            return self._network
        with self._lock:
            if self._resized_network is None:
                model = cut_at_images(ov.Core().read_model(self.artifact.path / IR))
                self._resized_network = Network(model, *self._asked)
            return self._resized_network

    def infer(self, prepared: Prepared) -> Inferred:
        """Run the network, up to `parallel` at a time. A stream takes its frames in order, one at a time."""
        if self.memory is None:
            outputs, seconds = self._run(prepared.inputs)
            return Inferred(outputs, seconds=seconds)
        self._replay(self.memory, prepared.past)
        return self._step(self.memory, prepared, follows=bool(prepared.past))

    def _run(
        self, inputs: dict[str, NDArray[np.generic]], state: State | None = None
    ) -> tuple[dict[str, NDArray[Any]], dict[str, float]]:
        """Copies of the outputs, and the seconds of each stage; what a stream keeps is written to `state`."""
        kept, seconds = state or {}, dict[str, float]()
        found = self._network_for(inputs)(inputs, kept, seconds)
        if POINTS_LOST in found and (lost := int(found[POINTS_LOST][0])):
            raise RigError(
                f"{lost} points of this rig found no place in the column pooling of {self.artifact.path}: convert "
                "again with --rig RIG.json of this vehicle, or with --pooling scatter, which fits any"
            )
        names = self.artifact.manifest.outputs
        return {name: found[name].copy() if name in kept else found[name] for name in names}, seconds

    def _replay(self, memory: Memory, past: Sequence[Prepared]) -> None:
        """If past frames were given, forget all others and run these."""
        if past:
            memory.reset()
        for before in past:
            self._step(memory, before, follows=True)

    def _step(self, memory: Memory, prepared: Prepared, *, follows: bool) -> Inferred:
        """One frame of a stream."""
        recalled, inputs = self._recalled(memory, prepared, follows=follows)
        state = memory.room()
        outputs, seconds = self._run(inputs, state)
        memory.keep(recalled, state, prepared.frame.scene, prepared.frame.time)
        return Inferred(outputs, recalled.history, seconds)

    def _recalled(
        self, memory: Memory, prepared: Prepared, *, follows: bool
    ) -> tuple[Recalled, dict[str, NDArray[np.generic]]]:
        """What the memory gives for a frame, and all inputs of the network for it."""
        recalled = memory.recall(prepared.rig, prepared.frame.scene, prepared.frame.time, follows=follows)
        return recalled, {**prepared.inputs, **self._geometry.inputs(recalled.rigs), **recalled.inputs}

    def finish(self, prepared: Prepared, inferred: Inferred) -> Occupancy:
        """Make the result of what `infer` gave. Depends on no other frame: several threads may finish at a time."""
        extras = {name: array for name, array in inferred.outputs.items() if name != "labels"}
        labels = inferred.outputs["labels"]
        return Occupancy.of_outputs(labels, extras, self.artifact.variant, self._mapping, inferred.history)

    @property
    def running(self) -> Running:
        """What really runs, read back from the compiled model now: AUTO may go over to another device after a while."""
        return replace(self._network.running, jpeg_decoder=jpeg_decoder())

    def geometry_inputs(self, *rigs: Rig) -> dict[str, NDArray[np.generic]]:
        """What the network is given of the rigs of all frames, newest first; from the cache as `plan`.

        Raises:
            RigError: another number of rigs than the network takes frames.
        """
        return self._geometry.inputs(rigs)

    def plan(self, *rigs: Rig) -> PoolingPlan:
        """The pooling plan of the rigs of all frames, newest first, from the cache if they are those of the last call.

        Raises:
            RigError: another number of rigs than the network takes frames.
        """
        return self._geometry(rigs).plan
