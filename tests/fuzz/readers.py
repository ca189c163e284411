"""Every reader of a file that a person may hand in: a good file, and the call that reads what was made of it.

A call may give anything, or raise an `OccvinoError`. All else is a fault: another exception, a crash, too much memory
or time. `run.py` sees to the last three.
"""

import io
import json
import pickle
import shutil
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from occvino.datasets.shipped import SCENE, shipped_scene
from tests.fuzz.mutate import mutated_bytes, mutated_json

Make = Callable[[np.random.Generator], bytes]


@dataclass(frozen=True)
class Reader:
    """`make` gives a changed file, `read` is handed its path.

    `same`: whether what was read is what the good file holds, for formats with checksums, in which a change either does
    not matter or is noticed.
    """

    make: Make
    read: Callable[[Path], Any]
    suffix: str
    same: Callable[[Any], bool] | None = None


def readers(scratch: Path) -> dict[str, Reader]:
    """All of them; `scratch` is a folder for what they need beside the changed file."""
    found: dict[str, Reader] = {}
    for build in (_rig, _manifest, _checkpoints, _infos, _tables, _labels, _images, _onnx, _occupancy, _calibrations):
        found |= build(scratch)
    return found


def _rig(scratch: Path) -> dict[str, Reader]:
    from occvino.geometry.lift import PoolingPlan
    from occvino.geometry.rig import Rig
    from occvino.variants import get_variant

    shipped_scene()[0].rig.save(scratch / "rig.json")
    good = json.loads((scratch / "rig.json").read_text())
    variant = get_variant("occvino-nano")
    return {
        "rig": Reader(
            lambda rng: mutated_json(rng, good), lambda path: PoolingPlan.from_rig(Rig.load(path), variant), ".json"
        )
    }


def _manifest(scratch: Path) -> dict[str, Reader]:
    from occvino.artifact import MANIFEST, Artifact
    from occvino.conversion import convert

    folder = convert("occvino-nano", None, scratch / "artifact", precision="fp32").path
    good = json.loads((folder / MANIFEST).read_text())

    def read(path: Path) -> Any:
        shutil.copyfile(path, folder / MANIFEST)
        return Artifact.open(folder)

    return {"manifest": Reader(lambda rng: mutated_json(rng, good), read, ".json")}


def _checkpoints(scratch: Path) -> dict[str, Reader]:
    import torch
    from safetensors.torch import save

    from occvino.networks import build
    from tests.small import known

    with known():
        weights = {name: value.half() for name, value in build("small-pillars").state_dict().items()}
    meta = {"epoch": 24, "seed": np.int64(3)}
    files = {".safetensors": save({name: value.contiguous() for name, value in weights.items()})}
    for suffix, new in ((".pth", True), (".old.pth", False)):
        buffer = io.BytesIO()
        torch.save({"meta": meta, "state_dict": weights}, buffer, _use_new_zipfile_serialization=new)
        files[suffix] = buffer.getvalue()

    def read(path: Path) -> Any:
        with known():
            return build("small-pillars", path)

    def reader(suffix: str, good: bytes) -> Reader:
        return Reader(lambda rng: mutated_bytes(rng, good, other=files[".pth"]), read, suffix)

    return {f"checkpoint{suffix}": reader(suffix, good) for suffix, good in files.items()}


def _infos(scratch: Path) -> dict[str, Reader]:
    from occvino.datasets.nuscenes import NuScenes

    sample = shipped_scene()[0]
    cams = {
        camera.name: {
            "data_path": f"./data/nuscenes/samples/{camera.name}/x.jpg",
            "cam_intrinsic": camera.intrinsics,
            "sensor2ego_rotation": [1.0, 0.0, 0.0, 0.0],
            "sensor2ego_translation": np.zeros(3),
            "ego2global_rotation": [1.0, 0.0, 0.0, 0.0],
            "ego2global_translation": [0.0, 0.0, 0.0],
        }
        for camera in sample.rig.cameras
    }
    pose = {"rotation": [1.0, 0.0, 0.0, 0.0], "translation": [0.0, 0.0, 0.0]}
    info = {
        "token": "a",
        "timestamp": np.int64(1),
        "scene_name": "scene-0001",
        "cams": cams,
        "lidar_path": "./data/nuscenes/samples/LIDAR_TOP/x.bin",
        "occ_path": "./data/nuscenes/gts/scene-0001/a",
        **{f"{frame}_{part}": value for frame in ("ego2global", "lidar2ego") for part, value in pose.items()},
    }
    good = [pickle.dumps({"infos": [info], "metadata": {"version": "v1.0"}}, protocol) for protocol in (2, 4, 5)]

    def make(rng: np.random.Generator) -> bytes:
        return mutated_bytes(rng, good[int(rng.integers(3))], other=b"cos\nsystem\n(S'true'\ntR.")

    return {"infos": Reader(make, lambda path: NuScenes.from_infos(path, scratch), ".pkl")}


def _tables(scratch: Path) -> dict[str, Reader]:
    from occvino.datasets.nuscenes import NuScenes

    root = scratch / "set"
    (root / "v1.0-synth").mkdir(parents=True)
    tables = {path.name: path.read_bytes() for path in sorted((SCENE / "v1.0-synth").glob("*.json"))}
    goods = {name: json.loads(data) for name, data in tables.items() if name != "sample_annotation.json"}
    names = sorted(goods)

    def make(rng: np.random.Generator) -> bytes:
        name = names[int(rng.integers(len(names)))]
        return name.encode() + b"\n" + mutated_json(rng, goods[name])

    def read(path: Path) -> Any:
        name, _, data = path.read_bytes().partition(b"\n")
        for other, good in tables.items():
            (root / "v1.0-synth" / other).write_bytes(data if other.encode() == name else good)
        return list(NuScenes(root))

    return {"tables": Reader(make, read, ".json")}


def _labels(scratch: Path) -> dict[str, Reader]:
    from occvino.datasets.occ3d import Occ3DLabels

    good = sorted((SCENE / "gts").rglob("labels.npz"))[0].read_bytes()
    with zipfile.ZipFile(io.BytesIO(good)) as stored:
        members = {name: stored.read(name) for name in stored.namelist()}

    def make(rng: np.random.Generator) -> bytes:
        if rng.random() < 0.5:
            return mutated_bytes(rng, good)
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as file:  # changed inside, with checksums that fit
            for name, data in members.items():
                file.writestr(name, mutated_bytes(rng, data) if rng.random() < 0.4 else data)
        return out.getvalue()

    return {"labels": Reader(make, Occ3DLabels.load, ".npz")}


def _images(scratch: Path) -> dict[str, Reader]:
    from occvino.geometry.rig import Rig
    from occvino.images.inputs import network_images
    from occvino.variants import get_variant

    sample = shipped_scene()[0]
    rig, variant = Rig(sample.rig.cameras[:1]), get_variant("occvino-nano")
    jpeg = sample.images[0].read_bytes()
    goods = {".jpg": jpeg}
    with Image.open(sample.images[0]) as image:
        for suffix, kind in ((".png", "PNG"), (".tiff", "TIFF"), (".webp", "WEBP"), (".bmp", "BMP"), (".ppm", "PPM")):
            out = io.BytesIO()
            image.save(out, kind)
            goods[suffix] = out.getvalue()

    right = network_images([goods[".png"]], rig, variant)

    def reader(suffix: str, good: bytes) -> Reader:
        return Reader(
            lambda rng: mutated_bytes(rng, good, other=jpeg),
            lambda path: network_images([path], rig, variant),
            suffix,
            same=(lambda found: np.array_equal(found, right)) if suffix == ".png" else None,
        )

    return {f"image{suffix}": reader(suffix, good) for suffix, good in goods.items()}


def _onnx(scratch: Path) -> dict[str, Reader]:
    import onnx
    from onnx import TensorProto, helper

    from occvino.conversion.lower import read_onnx

    names = ("depth", "feat", "ranks_depth", "ranks_feat", "ranks_bev", "interval_starts", "interval_lengths")
    shapes = ([1, 1, 2, 2, 2], [1, 1, 2, 2, 4], [6], [6], [6], [3], [3])
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT if index < 2 else TensorProto.INT32, shape)
        for index, (name, shape) in enumerate(zip(names, shapes, strict=True))
    ]
    node = helper.make_node(
        "bev_pool_v2", list(names), ["out"], domain="mmdeploy", output_height=3, output_width=3, output_z=1
    )
    graph = helper.make_graph(
        [node], "g", inputs, [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 1, 3, 3, 4])]
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("mmdeploy", 1)], ir_version=8
    )
    good = onnx.ModelProto.SerializeToString(model)
    return {"onnx": Reader(lambda rng: mutated_bytes(rng, good), read_onnx, ".onnx")}


def _occupancy(scratch: Path) -> dict[str, Reader]:
    from occvino.runtime import Occupancy
    from occvino.variants import get_variant

    variant = get_variant("occvino-nano")
    labels = np.full(variant.occupancy_grid.shape, 17, np.uint8)
    Occupancy(labels, variant.class_names, variant.occupancy_grid).save(scratch / "o.npz")
    good = (scratch / "o.npz").read_bytes()
    return {"occupancy": Reader(lambda rng: mutated_bytes(rng, good), Occupancy.load, ".npz")}


def _calibrations(scratch: Path) -> dict[str, Reader]:
    """Those of other projects."""
    import yaml

    from occvino.geometry.readers import read_argoverse2, read_carla, read_kalibr, read_kitti360, read_opencv
    from tests.geometry.readers import formats

    here = np.eye(4)
    chain, sensors = formats.camchain(chained=True), formats.bridge_objects(here[:3, 3])
    folder = formats.write_kitti360(scratch / "kitti360", formats.IMU2EGO)
    lines = (folder / "perspective.txt").read_bytes()
    log = formats.write_argoverse2(scratch / "argoverse2", *formats.argoverse2_rows(here))
    table = log / "calibration" / "egovehicle_SE3_sensor.feather"
    stored = {suffix: formats.write_opencv(scratch / f"a.{suffix}", "cam1").read_bytes() for suffix in ("yml", "xml")}
    chained, feathers = yaml.safe_dump(chain).encode(), table.read_bytes()

    def camchain(rng: np.random.Generator) -> bytes:
        """JSON is YAML."""
        return mutated_json(rng, chain) if rng.random() < 0.5 else mutated_bytes(rng, chained)

    def storage(suffix: str) -> Reader:
        good = stored[suffix]
        return Reader(lambda rng: mutated_bytes(rng, good), lambda path: read_opencv({"a": path}), f".{suffix}")

    def in_place_of(file: Path, read: Callable[[], Any]) -> Callable[[Path], Any]:
        def reading(path: Path) -> Any:
            shutil.copyfile(path, file)
            return read()

        return reading

    return {
        "kalibr": Reader(camchain, lambda path: read_kalibr(path, here), ".yaml"),
        "opencv.yml": storage("yml"),
        "opencv.xml": storage("xml"),
        "kitti360": Reader(
            lambda rng: mutated_bytes(rng, lines),
            in_place_of(folder / "perspective.txt", lambda: read_kitti360(folder)),
            ".txt",
        ),
        "argoverse2": Reader(
            lambda rng: mutated_bytes(rng, feathers), in_place_of(table, lambda: read_argoverse2(log)), ".feather"
        ),
        "carla": Reader(lambda rng: mutated_json(rng, sensors), lambda path: read_carla(path, here), ".json"),
    }


def outcome(reader: Reader, data: bytes, path: Path) -> str:
    """ "read", "refused", or the fault: what else was raised."""
    from occvino.errors import OccvinoError

    path.write_bytes(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = reader.read(path)
            if reader.same is not None and not reader.same(found):
                return "read as something else"
    except OccvinoError:
        return "refused"
    except MemoryError:
        return "MemoryError"
    except Exception as error:
        import traceback

        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}: {str(error)[:120]}"
    return "read"
