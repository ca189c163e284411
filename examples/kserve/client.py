"""Send six images and matrices to a KServe v2 server, get labels. Needs `pip install "tritonclient[http,grpc]"` alone.

    python client.py FRAME localhost:8000                 over HTTP, JPEG files as they are
    python client.py FRAME localhost:8001 --grpc --raw    over gRPC, pixels

FRAME is a folder with CAM_FRONT.jpg, ... and rig.json (docs/rig.md). It writes FRAME/labels.npy, u8 [X, Y, Z].
For `occvino serve`; OpenVINO Model Server takes the same request, with --raw.
"""

import argparse
import importlib
import json
from pathlib import Path

import numpy as np

CAMERAS = ("CAM_FRONT_LEFT", "CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_LEFT", "CAM_BACK", "CAM_BACK_RIGHT")
"""In the order of the published models, and so of OpenVINO Model Server; others are sent in the order of rig.json."""


def matrix(told: object) -> np.ndarray:
    """A pose of rig.json, [4, 4]: a matrix, or a rotation (w, x, y, z) and a translation in metres."""
    if not isinstance(told, dict):
        return np.array(told, np.float64)
    w, x, y, z = np.array(told["rotation_wxyz"]) / np.linalg.norm(told["rotation_wxyz"])
    pose = np.eye(4)
    pose[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    pose[:3, 3] = told["translation_m"]
    return pose


def matrices(cameras: dict[str, dict[str, object]]) -> tuple[np.ndarray, np.ndarray]:
    """`intrinsics` [N, 3, 3], raw pixels, and `camera2ego` [N, 4, 4], metres, both f32.

    The key ego frame is the vehicle's when the first camera was exposed; it moves until the last one is. The labels are
    in that frame.
    """
    ego2global = [matrix(camera.get("ego2global", np.eye(4))) for camera in cameras.values()]
    sensor2ego = [matrix(camera["sensor2ego"]) for camera in cameras.values()]
    key = np.linalg.inv(ego2global[0])
    poses = [key @ ego @ sensor for ego, sensor in zip(ego2global, sensor2ego, strict=True)]
    return np.array([camera["intrinsics"] for camera in cameras.values()], np.float32), np.array(poses, np.float32)


def images(frame: Path, names: list[str], *, raw: bool) -> np.ndarray:
    """What the files hold, object [N], or their pixels, u8 [N, H, W, 3] in RGB."""
    files = [next(frame.glob(f"{name}.*")) for name in names]
    if not raw:
        return np.array([file.read_bytes() for file in files], object)
    from PIL import Image

    return np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frame", type=Path)
    parser.add_argument("server", help="host:port")
    parser.add_argument("--grpc", action="store_true", help="by gRPC instead of HTTP")
    parser.add_argument("--raw", action="store_true", help="send pixels instead of files")
    parser.add_argument("--model", default="occvino-nano")
    args = parser.parse_args()

    cameras = json.loads((args.frame / "rig.json").read_text())["cameras"]
    if set(cameras) == set(CAMERAS):
        cameras = {name: cameras[name] for name in CAMERAS}
    intrinsics, camera2ego = matrices(cameras)
    pixels = images(args.frame, list(cameras), raw=args.raw)

    protocol = importlib.import_module(f"tritonclient.{'grpc' if args.grpc else 'http'}")
    with protocol.InferenceServerClient(args.server) as client:
        metadata = client.get_model_metadata(args.model, **({"as_json": True} if args.grpc else {}))
        inputs = []
        for each in metadata["inputs"]:  # the one of the images is "images" or "frames"
            name = each["name"]
            values = {"intrinsics": intrinsics, "camera2ego": camera2ego}.get(name, pixels)
            datatype = "BYTES" if values.dtype == object else each["datatype"]
            inputs.append(protocol.InferInput(name, list(values.shape), datatype))
            inputs[-1].set_data_from_numpy(values)
        answer = client.infer(args.model, inputs, parameters={"cameras": json.dumps(list(cameras))})
    labels = answer.as_numpy("labels")
    np.save(args.frame / "labels.npy", labels)
    print(f"labels {labels.dtype} {list(labels.shape)}, {len(np.unique(labels))} classes: {args.frame / 'labels.npy'}")


if __name__ == "__main__":
    main()
