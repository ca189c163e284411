"""What `occvino view` shows: an artifact as it runs, labels that were saved, or the ground truth of a data set."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from occvino.artifact import MANIFEST
from occvino.cli.options import open_dataset
from occvino.datasets.bags.options import BagOptions
from occvino.datasets.bags.source import open_bag
from occvino.datasets.bags.stream import BagStream
from occvino.datasets.nuscenes import NuScenes
from occvino.errors import OccvinoError, warn
from occvino.evaluation.bag_run import check_takes_bags
from occvino.evaluation.view import dataset_frames, run_and_view, run_and_view_bag, saved_bag_frames, saved_frames
from occvino.files import from_json
from occvino.geometry.rig import Rig
from occvino.labelling.frames import frames_of, frames_of_folders
from occvino.labelling.resume import STAMP
from occvino.runtime import Frame, Pipeline
from occvino.viz.frame import ViewFrame

_BAGS = (".mcap", ".db3", ".bag")


@dataclass(frozen=True)
class Source:
    """What the command was given; `frames` sees what goes together."""

    path: Path
    images: Path | None = None
    rig: Path | None = None
    sequence: Path | None = None
    dataset: Path | None = None
    bag: Path | None = None
    about_bag: BagOptions = field(default_factory=BagOptions)
    version: str | None = None
    infos: Path | None = None
    device: str | None = None

    @property
    def is_dataset(self) -> bool:
        """Whether it is a nuScenes folder."""
        return any(self.path.glob("v1.0-*")) or self.path.name.startswith("v1.0-")

    def frames(self) -> Iterator[ViewFrame]:
        """Frames to look at, one by one.

        Raises:
            OccvinoError: options that do not go with the source, or a source that is none.
        """
        if self.path.suffix in _BAGS or (self.path / "metadata.yaml").exists():
            raise OccvinoError(
                f"{self.path} is a bag, which holds no labels: occvino view ARTIFACT --bag {self.path}, or give the "
                "folder that `run --bag` wrote in the place of ARTIFACT"
            )
        samples = open_dataset(self.dataset, self.version, self.infos) if self.dataset else None
        if samples is None and (self.version or self.infos) and not self.is_dataset:
            raise OccvinoError(f"--{'version' if self.version else 'infos'} goes with a data set: give --dataset")
        if (self.path / MANIFEST).exists():
            return self._run(samples)
        if self.images or self.rig or self.sequence or self.device:
            raise OccvinoError(f"--images, --rig, --sequence and --device go with an artifact, and {self.path} is none")
        if self.is_dataset:
            if samples is not None or self.bag is not None:
                raise OccvinoError(f"{self.path} is a data set itself: leave --dataset and --bag out")
            opened = open_dataset(self.path, self.version, self.infos)
            return dataset_frames(opened, range(len(opened)))
        if self.bag is not None:
            if samples is not None:
                raise OccvinoError("--bag and --dataset: give one of them")
            return self._saved_of_bag(self.bag)
        return saved_frames(self.path, samples)

    def _run(self, samples: NuScenes | None) -> Iterator[ViewFrame]:
        kinds = {"images": self.images, "sequence": self.sequence, "dataset": samples, "bag": self.bag}
        given = [name for name, value in kinds.items() if value]
        if len(given) != 1:
            told = " and ".join(given) or "none"
            raise OccvinoError(f"give one of --images, --sequence, --dataset and --bag, not {told}")
        if self.rig is not None and (samples is not None or self.bag is not None):
            raise OccvinoError(f"--{given[0]} has its own rigs: leave --rig out")
        pipeline = Pipeline(self.path, self.device)
        baked, takes = pipeline.artifact.baked_rig, pipeline.artifact.variant.frames
        remembers = pipeline.memory is not None
        if self.bag is not None:
            return self._run_bag(pipeline, self.bag)
        if samples is not None:
            frames = frames_of(samples, range(len(samples)), rig=baked, takes=takes, remembers=remembers)
            return run_and_view(pipeline, frames, (sample.token for sample in samples), samples)
        loaded = Rig.load(self.rig) if self.rig else None
        if self.sequence is not None:
            names, found = frames_of_folders(self.sequence, loaded or baked, takes=takes, remembers=remembers)
            return run_and_view(pipeline, found, names)
        assert self.images is not None
        return run_and_view(pipeline, [Frame(self.images, loaded)], [self.images.resolve().name])

    def _run_bag(self, pipeline: Pipeline, bag: Path) -> Iterator[ViewFrame]:
        check_takes_bags(pipeline)
        with open_bag(bag) as source:
            if source.damaged:
                warn(f"{bag} is {source.damaged}")
            yield from run_and_view_bag(pipeline, BagStream(source, self.about_bag, pipeline.artifact.manifest.cameras))

    def _saved_of_bag(self, bag: Path) -> Iterator[ViewFrame]:
        with open_bag(bag) as source:
            if source.damaged:
                warn(f"{bag} is {source.damaged}")
            yield from saved_bag_frames(self.path, BagStream(source, self.about_bag, self._cameras()))

    def _cameras(self) -> list[str] | None:
        """Those that a run labelled, in its order: the first one's images say when the frames are."""
        stamp = self.path / STAMP
        return from_json(stamp.read_text(encoding="utf-8")).get("cameras") if stamp.is_file() else None
