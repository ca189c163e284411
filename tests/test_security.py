"""Loading a file never runs code, and never takes more than the file's size allows: see SECURITY.md."""

import copyreg
import io
import json
import pickle
import struct
import subprocess
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch

from occvino.artifact import MANIFEST, Artifact
from occvino.datasets.fields import DatasetError
from occvino.datasets.infos import load_infos
from occvino.datasets.nuscenes import NuScenes
from occvino.datasets.occ3d import Occ3DLabels
from occvino.datasets.unpickle import safe_unpickle
from occvino.errors import OccvinoError
from occvino.evaluation.predictions import Predictions, load_labels
from occvino.geometry.rig import Rig
from occvino.networks import load_weights
from occvino.runtime import Occupancy
from occvino.synth.write import SynthSettings, synthesize
from occvino.training.loop import Training, TrainSettings


class Runs:
    """Unpickling it normally writes a file."""

    def __init__(self, victim):
        self.code = f"open({str(victim)!r}, 'w').close()"

    def __reduce__(self):
        return exec, (self.code,)


def plain(path, evil):
    path.write_bytes(pickle.dumps(evil))


def torch_zip(path, evil):
    torch.save({"state_dict": {"a": torch.zeros(1)}, "meta": evil}, path)


def torch_old(path, evil):
    torch.save({"state_dict": evil}, path, _use_new_zipfile_serialization=False)


def archive(path, evil):
    objects = np.array([evil], dtype=object)
    with path.open("wb") as stream:
        np.savez(stream, semantics=objects, labels=objects, instances=objects, class_names=objects, grid=objects)


def of_rig(path):
    return Rig.load(path)


def of_artifact(path):
    folder = path.parent / "artifact"
    folder.mkdir(exist_ok=True)
    path.replace(folder / MANIFEST)
    return Artifact.open(folder)


def of_tables(path):
    folder = path.parent / "v1.0-mini"
    folder.mkdir(exist_ok=True)
    path.replace(folder / "scene.json")
    return NuScenes(path.parent)


def of_evaluation(path):
    folder = path.parent / "labels"
    folder.mkdir(exist_ok=True)
    path.replace(folder / "eval.json")
    return Predictions(folder, {})


def of_training(path):
    path.replace(path.parent / "last.pt")
    training = Training.__new__(Training)
    training.settings = TrainSettings("occvino-nano")
    return training._load(path.parent / "last.pt")


READERS = (load_weights, load_infos, Occ3DLabels.load, load_labels, Occupancy.load, of_rig, of_artifact, of_tables)


@pytest.mark.parametrize("write", [plain, torch_zip, torch_old, archive])
@pytest.mark.parametrize("read", [*READERS, of_evaluation, of_training])
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_no_reader_runs_what_is_in_a_file(tmp_path, read, write):
    victim = tmp_path / "victim"
    for name in ("file", "file.npz", "file.safetensors"):
        write(tmp_path / name, Runs(victim))
        with pytest.raises(OccvinoError):
            read(tmp_path / name)
    assert not victim.exists()


@pytest.mark.parametrize("write", [plain, torch_zip, torch_old])
def test_those_files_do_run_where_nobody_looks(tmp_path, write):
    """Else the test above would say nothing."""
    victim = tmp_path / "victim"
    write(tmp_path / "file", Runs(victim))
    if write is plain:
        pickle.loads((tmp_path / "file").read_bytes())
    else:
        torch.load(tmp_path / "file", weights_only=False)
    assert victim.exists()


def unicode(text):
    return b"X" + struct.pack("<I", len(text)) + text.encode()


EXEC = b"cbuiltins\nexec\n"
OPCODES = {
    "GLOBAL": EXEC + unicode("1") + b"\x85R.",
    "STACK_GLOBAL": b"\x80\x04" + unicode("builtins") + unicode("exec") + b"\x93.",
    "INST": b"(" + unicode("1") + b"ibuiltins\nexec\n.",
    "OBJ": b"(cnumpy\ndtype\n" + unicode("f4") + b"o.",
    "NEWOBJ": b"cnumpy\nndarray\n)\x81.",
    "NEWOBJ_EX": b"cnumpy\nndarray\n)}\x92.",
    "REDUCE of text": unicode("a") + b")R.",
    "REDUCE of a dtype": b"cnumpy\ndtype\n" + unicode("f4") + b"\x85R)R.",
    "BUILD of a name": b"cnumpy\ndtype\n}b.",
    "BUILD of a list": b"]}b.",
    "BUILD of a number": b"K\x01}b.",
    "PERSID": b"Pabc\n.",
    "BINPERSID": b"K\x01Q.",
    "EXT1": b"\x82\x01.",
    "EXT2": b"\x83\x01\x00.",
    "EXT4": b"\x84\x01\x00\x00\x00.",
    "NEXT_BUFFER": b"\x97.",
    "READONLY_BUFFER": b"C\x01a\x98.",
    "EMPTY_SET": b"\x8f.",
    "FROZENSET": b"(\x91.",
    "INT": b"I1\n.",
    "STRING": b"S'a'\n.",
    "protocol 9": b"\x80\x09N.",
    "unknown": b"\xff.",
    "array never filled": b"cnumpy.core.multiarray\n_reconstruct\n)R.",
    "a name by itself": b"cnumpy\ndtype\n.",
    "a name in a list": b"](cnumpy\ndtype\ne.",
    "two things": b"NN.",
    "nothing": b"",
    "no end": b"]",
    "no mark": b"e.",
    "no memory": b"h\x05.",
    "key that is a tuple": b"}N\x85Ns.",
    "key that is chosen": b"}\x8a\x09" + b"\0" * 8 + b"\x01Ns.",
    "LONG4 of 2 GB": b"\x8b\xff\xff\xff\x7f.",
    "BINUNICODE8 of 2^60": b"\x8d" + struct.pack("<Q", 1 << 60) + b"a.",
    "BINBYTES8 of 2^40": b"\x8e" + struct.pack("<Q", 1 << 40) + b"a.",
    "BYTEARRAY8 of 2^40": b"\x96" + struct.pack("<Q", 1 << 40) + b"a.",
    "BINUNICODE of 4 GB": b"X\xff\xff\xff\xffa.",
}


@pytest.mark.parametrize("name", OPCODES)
def test_every_way_out_of_plain_data_is_closed(name, monkeypatch):
    monkeypatch.setitem(copyreg._extension_cache, 1, exec)  # as after a program registered an extension
    with pytest.raises(pickle.UnpicklingError):
        safe_unpickle(io.BytesIO(OPCODES[name]))


@pytest.mark.parametrize(
    "bomb",
    [
        b"Nr\xff\xff\xff\x7f.",  # a memo of 2^31 entries
        b"]" + b"]" * 1_000_000 + b"a" * 1_000_000 + b".",  # as deep as long
        b")" + b"\x85" * 1_000_000 + b".",  # tuples whose hash would end the process
        b"]q\0" + b"".join(b"](h%ch%ceq%c" % (n, n, n + 1) for n in range(40)) + b".",  # 2^40 lists if walked
        b"]q\0h\0a.",  # a list that holds itself
    ],
)
def test_bombs_are_read_or_refused_in_a_process_that_has_little(tmp_path, bomb):
    (tmp_path / "bomb.pkl").write_bytes(b"}" + unicode("infos") + bomb[:-1] + b"s.")
    code = "import resource, sys\nfrom occvino.datasets.nuscenes import NuScenes\n"
    code += "from occvino.errors import OccvinoError\n"
    code += "used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
    code += "try: NuScenes.from_infos(sys.argv[1], '.')\nexcept OccvinoError as error: print(str(error)[:300])\n"
    code += "assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used < 400_000"
    path = str(tmp_path / "bomb.pkl")
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "bomb.pkl" in done.stdout


def test_the_same_text_is_not_made_into_bytes_again_and_again():
    head = b"c_codecs\nencode\nq\0" + unicode("a" * 100_000) + b"q\x01\x85q\x02R0]("
    with pytest.raises(pickle.UnpicklingError, match="makes more bytes than it holds"):
        safe_unpickle(io.BytesIO(head + b"h\0h\x02R" * 10_000 + b"e."))


def test_an_archive_that_unpacks_to_gigabytes_is_not_unpacked(tmp_path):
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000,), }".ljust(117) + b"\n"
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as stored:
        array = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(50_000_000)
        stored.writestr("labels.npy", array)
    tracemalloc.start()
    with pytest.raises(OccvinoError, match=r"claims to be float64 \(1000000000,\): over 4 GiB are not read"):
        Occupancy.load(path)
    with pytest.raises(OccvinoError):
        load_labels(path)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_nothing_is_filed_outside_of_the_output(tmp_path):
    for field, value in (("token", "../../x"), ("scene_name", "..")):
        info = {"token": "a", "scene_name": "b", "occ_path": "gts/b/a", "timestamp": 1, "cams": {}} | {field: value}
        (tmp_path / "infos.pkl").write_bytes(pickle.dumps({"infos": [info]}))
        with pytest.raises(DatasetError, match="expected a plain name"):
            NuScenes.from_infos(tmp_path / "infos.pkl", tmp_path)


DEEP = "[" * 100_000


def deep_artifact(folder):
    (folder / MANIFEST).write_text(DEEP)
    Artifact.open(folder)


def deep_rig(folder):
    (folder / "rig.json").write_text(DEEP)
    Rig.load(folder / "rig.json")


def deep_marks(folder):
    (folder / "eval.json").write_text(DEEP)
    Predictions(folder, {})


def deep_settings(folder):
    (folder / "synth.json").write_text(DEEP)
    list(synthesize(folder, 1, SynthSettings(seed=0)))


@pytest.mark.parametrize("read", [deep_artifact, deep_rig, deep_marks, deep_settings])
def test_json_that_is_deep_is_refused(read, tmp_path):
    with pytest.raises(OccvinoError, match="nested too deep"):
        read(tmp_path)


def test_marks_that_are_no_object_are_refused(tmp_path):
    (tmp_path / "eval.json").write_text(json.dumps([1]))
    with pytest.raises(OccvinoError, match="is damaged"):
        Predictions(tmp_path, {})
