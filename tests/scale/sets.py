"""Data sets of several scenes out of the one that ships inside, and runs of `occvino batch` on them."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

from occvino.datasets.nuscenes import NuScenes
from occvino.datasets.shipped import SCENE
from occvino.scale.manifest import MANIFEST, read_manifest
from tests.cli.command import occvino

TABLES = ("scene", "sample", "sample_data", "ego_pose")


def several(root, scenes):
    """A set of so many scenes of three frames; in each of them the cameras show what others do in the one before."""
    tables = next(SCENE.glob("v1.0-*"))
    (root / tables.name).mkdir(parents=True)
    for path in tables.iterdir():
        records = json.loads(path.read_text())
        if path.stem in TABLES:
            records = [_renamed(record, number) for number in range(1, scenes + 1) for record in records]
        (root / tables.name / path.name).write_text(json.dumps([_shown(root, record) for record in records]))
    for number in range(1, scenes + 1):
        for truth in (SCENE / "gts" / "scene-0001").iterdir():
            shutil.copytree(truth, root / "gts" / f"scene-{number:04d}" / f"{truth.name}-{number}")
    return root


def _shown(root, record):
    """The same record, its image under a name of its own, with what another camera saw."""
    if not record.get("filename", "").startswith("samples/CAM"):
        return record
    number = int(record["token"].rsplit("-", 1)[1])
    _, camera, file = record["filename"].split("/")
    cameras = sorted(path.name for path in (SCENE / "samples").glob("CAM_*"))
    place = sorted(path.name for path in (SCENE / "samples" / camera).iterdir()).index(file)
    shown = cameras[(cameras.index(camera) + number - 1) % len(cameras)]
    made = root / "samples" / camera / f"{number}-{file}"
    made.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(sorted((SCENE / "samples" / shown).iterdir())[place], made)
    return {**record, "filename": str(made.relative_to(root))}


def _renamed(record, number):
    made = dict(record)
    for field, value in record.items():
        own = field == "token" or field.endswith(("sample_token", "ego_pose_token", "scene_token", "next", "prev"))
        if own and value:
            made[field] = f"{value}-{number}"
    if "nbr_samples" in made:
        made["name"] = f"scene-{number:04d}"
    return made


def command(artifact, dataset, out, *options):
    code = "import sys; sys.argv[0] = 'occvino'; from occvino.cli import main; main()"
    arguments = ["batch", str(artifact), "--dataset", str(dataset), "--out", str(out), *map(str, options)]
    return [sys.executable, "-c", code, *arguments]


def batch(artifact, dataset, out, *options, code=0, **environment):
    """Run it to its end; what it printed."""
    arguments = (artifact, "--dataset", dataset, "--out", out, *options)
    done = occvino("batch", *arguments, check=code, COLUMNS="200", **environment)
    return done.stdout + done.stderr


def labelled(out):
    """How many frames the manifest says are done."""
    try:
        return sum(entry.state == "done" for entry in read_manifest(out).values())
    except Exception:
        return 0


def interrupted(artifact, dataset, out, number, *options, after=1):
    """Start it, send it a signal once some frames are done, and give its exit code and the frames done by then."""
    process = subprocess.Popen(
        command(artifact, dataset, out, *options), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    until = time.monotonic() + 120
    while labelled(out) < after:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(number)
    code = process.wait(60)
    process.stderr.close()
    return code, labelled(out)


def files(out):
    """Everything in a folder of labels but what tells of it: bytes by name."""
    told = (MANIFEST, "batch.json")
    there = (path for path in Path(out).rglob("*") if path.is_file() and path.name not in told)
    return {str(path.relative_to(out)): path.read_bytes() for path in there}


def names(dataset):
    return [f"{frame.scene}/{frame.token}" for frame in NuScenes(dataset)]
