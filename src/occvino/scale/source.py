"""The data set that is labelled, and where its images are."""

from typing import Protocol

from occvino.datasets.nuscenes import NuScenes
from occvino.datasets.sample import Sample
from occvino.images.find import Images
from occvino.images.identity import identity


class Source(Protocol):
    """A data set whose images a worker can read."""

    dataset: NuScenes

    def images(self, frame: Sample) -> Images:
        """What a worker is given to read the images of a frame."""
        ...

    def identity(self, frame: Sample) -> str:
        """What the frame is, as a hash (see `images.identity`).

        Raises:
            FrameError: an image is missing.
        """
        ...


class LocalSource:
    """A data set in a folder that every worker sees under the same name.

    Args:
        dataset: of that folder.
        contents: know images by what is in them, not by size and time.
    """

    def __init__(self, dataset: NuScenes, *, contents: bool = False) -> None:
        self.dataset, self._contents = dataset, contents

    def images(self, frame: Sample) -> Images:
        """Files, with their whole path: a worker may run in another folder."""
        return {name: path.absolute() for name, path in frame.image_files().items()}

    def identity(self, frame: Sample) -> str:
        """See `Source.identity`."""
        place = frame.token, frame.scene, frame.timestamp
        return identity(frame.image_files(), frame.rig, *place, contents=self._contents)
