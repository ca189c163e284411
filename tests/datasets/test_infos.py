"""Info files must be read without running anything that is in them."""

import contextlib
import io
import os
import pickle
import pickletools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from occvino.datasets.infos import load_infos
from occvino.datasets.nuscenes import NuScenes
from occvino.datasets.tables import DatasetError
from occvino.datasets.unpickle import safe_unpickle

ARRAYS = hnp.arrays(
    st.one_of(
        hnp.integer_dtypes(endianness="?"),
        hnp.floating_dtypes(endianness="?"),
        hnp.boolean_dtypes(),
        hnp.unicode_string_dtypes(endianness="?"),
    ),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0),
)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary(), ARRAYS)
PLAIN = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.tuples(inner, inner), st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=8,
)


def equal(a, b) -> bool:
    if isinstance(a, np.ndarray):
        same = a.dtype.kind == b.dtype.kind and a.shape == b.shape
        return same and np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(equal, a, b))
    return type(a) is type(b) and a == b


@settings(deadline=None, max_examples=150)
@given(PLAIN, st.integers(2, 5), st.booleans())
def test_plain_containers_and_arrays_come_back(value, protocol, fortran):
    if isinstance(value, np.ndarray) and fortran:
        value = np.asfortranarray(value)
    assert equal(value, safe_unpickle(io.BytesIO(pickle.dumps(value, protocol))))


@pytest.mark.parametrize("scalar", [np.float64(0.25), np.float32(1.5), np.int64(-3), np.bool_(True)])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_numpy_scalars_come_back(scalar, protocol):
    back = safe_unpickle(io.BytesIO(pickle.dumps({"x": scalar}, protocol)))["x"]
    assert back == scalar
    assert back.dtype == scalar.dtype


class Runs:
    """Unpickling it normally runs `function`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def touch(path):
    return f"open({str(path)!r}, 'w').close()"


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_nothing_in_a_malicious_file_runs(tmp_path, protocol):
    victim = tmp_path / "victim"
    attacks = [
        Runs(os.system, f"touch {victim}"),
        Runs(exec, touch(victim)),
        Runs(eval, touch(victim)),
        Runs(getattr, "text", "upper"),
        Runs(__import__, "os"),
        {"infos": [{"token": Runs(exec, touch(victim))}]},
        np.array([Runs(exec, touch(victim)), 1], dtype=object),
        Runs(np.load, str(tmp_path / "x.npy"), None, True),
    ]
    for number, attack in enumerate(attacks):
        path = tmp_path / f"{number}.pkl"
        path.write_bytes(pickle.dumps(attack, protocol))
        with pytest.raises(DatasetError, match="cannot read the info file"):
            load_infos(path)
        assert not victim.exists()


@pytest.mark.parametrize("name", ["numpy.dtype", "numpy.ndarray", "_codecs.encode"])
def test_a_file_cannot_change_how_the_next_one_is_read(name):
    module, function = name.split(".")
    set_attributes = b"c" + f"{module}\n{function}\n".encode() + b"N}X\x01\x00\x00\x00aK\x01s\x86b."  # BUILD
    assert [op.name for op, _, _ in pickletools.genops(set_attributes)][-2:] == ["BUILD", "STOP"]
    with pytest.raises(pickle.UnpicklingError, match="tries to change how arrays are read"):
        safe_unpickle(io.BytesIO(set_attributes))


@pytest.mark.parametrize("text", ["O", "f4,O", "V8", "M8[s]", "(2,)f4", "f4\n"])
def test_only_plain_dtypes(text):
    described = b"cnumpy\ndtype\n(X" + len(text).to_bytes(4, "little") + text.encode() + b"tR."
    with pytest.raises(pickle.UnpicklingError, match="only numbers, truth values and text"):
        safe_unpickle(io.BytesIO(described))


def test_the_attack_above_would_work_without_the_reader(tmp_path):
    victim = tmp_path / "victim"
    pickle.loads(pickle.dumps(Runs(exec, touch(victim))))
    assert victim.exists()


@pytest.mark.parametrize(
    "value",
    [
        np.array([object()], dtype=object),
        np.zeros(2, dtype=[("a", "f4"), ("b", "i4")]),
        np.datetime64("2020-01-01"),
        {1, 2},
        complex(1, 2),
    ],
    ids=lambda v: type(v).__name__ + str(getattr(v, "dtype", "")),
)
def test_only_plain_things_are_read(value):
    with pytest.raises(pickle.UnpicklingError):
        safe_unpickle(io.BytesIO(pickle.dumps(value, 5)))


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_damaged_files_fail_with_one_error(data):
    whole = pickle.dumps({"infos": [{"token": "a", "x": np.arange(6.0).reshape(2, 3)}]}, 4)
    damaged = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for _ in range(data.draw(st.integers(0, 3))):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(pickle.UnpicklingError):
        safe_unpickle(io.BytesIO(bytes(damaged)))


def test_says_what_is_wrong(tmp_path):
    with pytest.raises(DatasetError, match=r"missing\.pkl"):
        load_infos(tmp_path / "missing.pkl")
    (tmp_path / "list.pkl").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(DatasetError, match="no list of frames under 'infos'"):
        load_infos(tmp_path / "list.pkl")
    (tmp_path / "old.pkl").write_bytes(pickle.dumps({"infos": [{"token": "a", "timestamp": 1}]}))
    with pytest.raises(DatasetError, match="frame 0 has no 'cams'"):
        NuScenes.from_infos(tmp_path / "old.pkl", tmp_path)


def test_our_stand_ins_are_called_by_their_official_names():
    """The names in real pickles, so that the list of known names is not of our own making."""
    names = set()
    for protocol in (2, 5):
        data = pickle.dumps({"a": np.arange(3.0), "b": np.float32(1), "c": b"x"}, protocol)
        safe_unpickle(io.BytesIO(data))
        names |= {str(arg) for op, arg, _ in pickletools.genops(data) if op.name == "GLOBAL"}
    assert any("_reconstruct" in name for name in names)
