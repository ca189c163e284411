"""A data set at a URL (`s3://`, `gs://`, `memory://`, ...), read where it is by fsspec.

Its tables, or its info file, are copied to a temporary folder, since they are needed once and as a whole. Images are
fetched by whoever needs them, and are known by what their store tells of them: size, and check sum or time.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from occvino.datasets.fields import DatasetError
from occvino.datasets.nuscenes import NuScenes
from occvino.datasets.sample import Sample
from occvino.errors import FrameError, OccvinoError
from occvino.files import scratch_folder
from occvino.images.find import Images
from occvino.images.identity import identity_of
from occvino.runtime import Frame
from occvino.scale.extra import needed

AHEAD = 8
"""Frames whose images are fetched while others are run."""
THREADS = 24
"""That fetch images at a time: a store far away takes long to answer, and answers many."""
_TOLD = ("ETag", "etag", "md5Hash", "checksum", "mtime", "LastModified", "last_modified", "updated", "created")
"""What file systems tell of a file that changes when it does; the first that there is counts."""
_TABLES = ("scene", "sample", "sensor", "calibrated_sensor", "sample_data", "ego_pose")


def is_url(dataset: str) -> bool:
    """Whether it is a URL, and no folder."""
    return "://" in dataset


@dataclass(frozen=True)
class Remote:
    """An image at a URL. Stands where a file would in a `Frame`, until `fetched` has its bytes."""

    url: str


class RemoteSource:
    """A data set at a URL.

    Args:
        url: of its folder.
        dataset: that was read from a copy of the tables.
        contents: know images by what is in them: all of them are fetched for it.
    """

    def __init__(self, url: str, dataset: NuScenes, *, contents: bool = False) -> None:
        self.dataset, self._contents = dataset, contents
        self._url = url.rstrip("/")
        self._system, self._root = _opened(self._url)
        self._listed: dict[str, dict[str, Mapping[str, Any]]] = {}

    def images(self, frame: Sample) -> Images:
        """URLs by camera, in the place of files."""
        return {name: Remote(f"{self._url}/{file}") for name, file in self._files(frame).items()}  # type: ignore[return-value]

    def identity(self, frame: Sample) -> str:
        """See `Source.identity`."""
        place, files = (frame.token, frame.scene, frame.timestamp), self._files(frame)
        told = [self._told(files[name]) for name in frame.rig.names]
        return identity_of(told, frame.rig, *place, kind="content" if self._contents else "url")

    def _files(self, frame: Sample) -> dict[str, str]:
        root = self.dataset.root
        return {name: path.relative_to(root).as_posix() for name, path in frame.image_files().items()}

    def _told(self, file: str) -> str:
        name = PurePosixPath(file).name
        if self._contents:
            from hashlib import sha256

            return f"{name} {sha256(fetch(f'{self._url}/{file}')).hexdigest()}"
        folder = str(PurePosixPath(file).parent)
        if folder not in self._listed:
            self._listed[folder] = self._list(folder)
        if name not in self._listed[folder]:
            raise FrameError(f"image not found: {self._url}/{file}")
        found = self._listed[folder][name]
        return f"{name} {found.get('size')} {next((found[key] for key in _TOLD if found.get(key)), '')}"

    def _list(self, folder: str) -> dict[str, Mapping[str, Any]]:
        try:
            found = self._system.ls(f"{self._root}/{folder}", detail=True)
        except FileNotFoundError:
            return {}
        except Exception as error:
            raise DatasetError(f"cannot list {self._url}/{folder}: {error}") from error
        return {PurePosixPath(each["name"]).name: each for each in found}


@contextmanager
def opened_at(url: str, version: str | None, infos: Path | None, *, contents: bool = False) -> Generator[RemoteSource]:
    """The data set at a URL, until the end of the block.

    Args:
        url: of its folder.
        version: folder of tables, if there are several.
        infos: an info file here, instead of tables.
        contents: as for `RemoteSource`.

    Raises:
        DatasetError: it cannot be read, or there is no one folder of tables.
        OccvinoError: fsspec, or what it needs for this kind of URL, is not installed.
    """
    url = url.rstrip("/")
    with scratch_folder() as folder:
        if infos is not None:
            yield RemoteSource(url, NuScenes.from_infos(infos, folder), contents=contents)
            return
        name = version or _version(url)
        (folder / name).mkdir()
        for table in _TABLES:
            _copy(f"{url}/{name}/{table}.json", folder / name / f"{table}.json")
        yield RemoteSource(url, NuScenes(folder, name), contents=contents)


def _version(url: str) -> str:
    system, root = _opened(url)
    try:
        found = sorted(PurePosixPath(name).name for name in system.ls(root, detail=False))
    except Exception as error:
        raise DatasetError(f"cannot list {url}: {str(error) or type(error).__name__}") from error
    names = [name for name in found if name.startswith("v1.0-")]
    if len(names) != 1:
        there = f"there is {', '.join(names)}: name one with --version" if names else "is it the nuScenes folder?"
        raise DatasetError(f"{url} holds {len(names)} folders v1.0-* of tables: {there}")
    return names[0]


def _copy(url: str, path: Path) -> None:
    system, place = _opened(url)
    try:
        system.get_file(place, str(path))
    except FileNotFoundError:
        raise DatasetError(f"the table {url} is missing: unpack the nuScenes metadata archive there") from None
    except OccvinoError:
        raise
    except Exception as error:
        raise DatasetError(f"cannot read {url}: {error}") from error


def fetch(url: str) -> bytes:
    """What is at a URL.

    Raises:
        FrameError: it cannot be read.
    """
    system, place = _opened(url)
    try:
        return system.cat_file(place)
    except FileNotFoundError:
        raise FrameError(f"file not found: {url}") from None
    except Exception as error:  # of whichever store
        raise FrameError(f"cannot read {url}: {str(error) or type(error).__name__}") from error


def _opened(url: str) -> tuple[Any, str]:
    """File system and path of a URL; fsspec keeps one of each kind."""
    fsspec = needed("fsspec", "a data set at a URL")
    try:
        return fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise OccvinoError(f"cannot open {url}: {error}") from error


Item: TypeAlias = Frame | OccvinoError


def fetched(frames: Iterable[Item], ahead: int = AHEAD) -> Iterator[Item]:
    """The same frames with bytes in the place of URLs, fetched ahead. One that cannot be fetched is its error."""
    waiting: deque[Item | Future[Item]] = deque()
    with ThreadPoolExecutor(THREADS, "occvino-fetch") as images, ThreadPoolExecutor(AHEAD, "occvino-frames") as pool:
        try:
            for frame in frames:
                far = isinstance(frame, Frame) and any(_is_far(seen) for seen in _seen(frame))
                waiting.append(pool.submit(_fetch_all, frame, images) if far and isinstance(frame, Frame) else frame)
                if len(waiting) > ahead or not far:
                    yield _there(waiting.popleft())
            while waiting:
                yield _there(waiting.popleft())
        finally:
            for one in waiting:
                if isinstance(one, Future):
                    one.cancel()


def _there(waiting: "Item | Future[Item]") -> Item:
    return waiting.result() if isinstance(waiting, Future) else waiting


def _seen(frame: Frame) -> list[Images]:
    return [frame.images, *(images for images, _ in frame.past)]


def _is_far(images: Images) -> bool:
    return isinstance(images, Mapping) and any(isinstance(image, Remote) for image in images.values())


def _fetch_all(frame: Frame, pool: ThreadPoolExecutor) -> Item:
    urls = {
        image.url
        for seen in _seen(frame)
        if isinstance(seen, Mapping)
        for image in seen.values()
        if isinstance(image, Remote)
    }
    under_way = {url: pool.submit(fetch, url) for url in sorted(urls)}
    try:
        found = {url: future.result() for url, future in under_way.items()}
    except OccvinoError as error:
        return error

    def here(images: Images) -> Images:
        if not isinstance(images, Mapping):
            return images
        return {name: found[image.url] if isinstance(image, Remote) else image for name, image in images.items()}

    return replace(frame, images=here(frame.images), past=[(here(images), rig) for images, rig in frame.past])
