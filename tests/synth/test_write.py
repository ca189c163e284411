import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from occvino.cli.synth import synth
from occvino.files import OutputError
from occvino.synth.write import SynthError, SynthSettings, synthesize
from tests.conftest import SYNTH


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_an_interrupted_scene_is_written_again_to_the_same_bytes(scenes, tmp_path):
    copy = tmp_path / "scenes"
    shutil.copytree(scenes, copy)
    (copy / ".scenes" / "scene-0001.json").unlink()
    for folder in ("v1.0-synth", "gts", "maps", "samples"):
        shutil.rmtree(copy / folder)
    image = copy / next(scenes.glob("samples/CAM_FRONT/*.jpg")).relative_to(scenes)
    image.parent.mkdir(parents=True)
    image.write_bytes(b"half a pic")
    list(synthesize(copy, 1, SYNTH))
    assert contents(copy) == contents(scenes)


def test_finished_scenes_are_kept(scenes, tmp_path):
    copy = tmp_path / "scenes"
    shutil.copytree(scenes, copy)
    image = next(copy.glob("samples/CAM_FRONT/*.jpg"))
    image.write_bytes(b"mine")
    list(synthesize(copy, 1, SYNTH))
    assert image.read_bytes() == b"mine"


def test_never_writes_into_another_folder(scenes, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="is not a synthetic set"):
        list(synthesize(tmp_path, 1, SYNTH))
    with pytest.raises(OutputError, match="holds a set made with"):
        list(synthesize(scenes, 1, SynthSettings(seed=12, frames=2, width=96)))
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"frames": 0}, {"width": 10}, {"quality": 101}])
def test_refuses_impossible_settings(wrong):
    name, value = next(iter(wrong.items()))
    with pytest.raises(SynthError, match=f"{name} is {value}"):
        SynthSettings(**{"seed": 1, **wrong})


def test_refuses_no_scenes(tmp_path):
    with pytest.raises(SynthError, match="0 scenes"):
        list(synthesize(tmp_path / "new", 0, SYNTH))
    assert not (tmp_path / "new").exists()


def test_every_token_in_the_tables_leads_somewhere(scenes):
    tables = {p.stem: json.loads(p.read_text()) for p in (scenes / "v1.0-synth").glob("*.json")}
    assert len(tables) == 13
    tokens = {name: {record["token"] for record in records} for name, records in tables.items()}
    for name, records in tables.items():
        assert len(tokens[name]) == len(records), f"{name} has a token twice"
        for record in records:
            for field, value in record.items():
                if field.endswith("_token") and field not in ("token",):
                    table = field.removesuffix("_token").removeprefix("first_").removeprefix("last_")
                    table = "sample_annotation" if table == "annotation" else table
                    assert value in tokens[table], f"{name}.{field}"
                elif field in ("prev", "next") and value:
                    assert value in tokens[name], f"{name}.{field}"
    files = {data["filename"] for data in tables["sample_data"]}
    assert all((scenes / name).is_file() for name in files)
    assert len(files) == 7 * SYNTH.frames


def test_command(scenes):
    import typer

    app = typer.Typer()
    app.command()(synth)
    arguments = [str(scenes), "--scenes", "1", "--seed", "11", "--frames", "2", "--width", "96"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "1 scenes of 2 key frames" in result.output


@pytest.mark.parametrize(
    ("module", "works"),
    [("occvino.datasets.nuscenes", True), ("occvino.metrics", True), ("occvino.synth.write", False)],
)
def test_only_writing_scenes_needs_numba(module, works):
    script = f"import sys; sys.modules['numba'] = None; import {module}"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (result.returncode == 0) is works, result.stderr
    assert works or 'pip install "occvino[synth]"' in result.stderr
