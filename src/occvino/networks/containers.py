"""What kind of file something is, by its first bytes: a name proves nothing."""

import zipfile
from pathlib import Path

from occvino.errors import CheckpointError

_HEAD = 512
_MOST_HEADER = 100 << 20
"""Bytes of a safetensors header; the library's own limit."""
_MOST_UNPACKED = 20
"""Times as large as the file. PyTorch packs nothing; who packed it again gains little, unless it is a bomb."""
_SAVE = "where it was made, torch.save the model's state_dict() and give that file"

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer, not the checkpoint: run `git lfs pull`"),
    (b"\x1f\x8b", "packed by gzip: unpack it first"),
    (b"BZh", "packed by bzip2: unpack it first"),
    (b"\xfd7zXZ\0", "packed by xz: unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive: unpack it first"),
    (b"Rar!", "a RAR archive: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "packed by Zstandard: unpack it first"),
    (b"\x89HDF", f"an HDF5 file, as Keras writes: {_SAVE}"),
    (b"GGUF", f"a GGUF file: {_SAVE}"),
    (b"\x93NUMPY", f"a NumPy array: {_SAVE}"),
    (b"ftrt", f"a TensorRT engine, from which weights cannot be read: {_SAVE}"),
)


def container_of(path: Path) -> str:
    """How a checkpoint file is written: "PyTorch (zip)", "PyTorch (old pickle)" or "safetensors".

    Raises:
        CheckpointError: the file is missing, cut off at its beginning, or something else, which is named.
    """
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder, expected a checkpoint file")
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint file {path}")
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    size = path.stat().st_size
    if head.startswith(b"PK\x03\x04"):
        return _of_zip(path, size)
    if _is_safetensors(head):
        length = int.from_bytes(head[:8], "little")
        if length > min(_MOST_HEADER, size - 8):
            raise CheckpointError(
                f"{path} is not a complete safetensors file: its header claims {length} bytes and the file has {size}"
            )
        return "safetensors"
    if head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5"):
        return "PyTorch (old pickle)"
    raise CheckpointError(f"{path} is {_said_of(head, path)}")


def _is_safetensors(head: bytes) -> bool:
    return head[8:9] == b"{"


def _said_of(head: bytes, path: Path) -> str:
    if not head:
        return "empty: the download or the copy failed"
    for magic, words in _MAGIC:
        if head.startswith(magic):
            return words
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"<?xml") and b"<net" in text:
        return "an OpenVINO IR, not a checkpoint: give the artifact's folder to `run`, the weights it was made of here"
    if text.startswith(b"<"):
        return "a web page, not a checkpoint: the download gave a page to look at; use the download link"
    if text.startswith((b"{", b"[")):
        return "a text file (JSON), not a checkpoint"
    if head[257:262] == b"ustar":
        return "a tar archive: unpack it first"
    if head[0] == 8 and head[1] < 32 and head[2:3] in (b"\x12", b"\x1a", b"\x22", b"\x2a", b"\x3a", b"\x42"):
        return (
            "an ONNX model, not a checkpoint: for one with bev_pool nodes see docs/onnx-from-tensorrt.md; to convert a "
            "variant, give the .pth file that it was exported from"
        )
    if not head.strip(b"\0"):
        return "all zeros at its beginning: the download was not finished"
    if path.suffix == ".safetensors":
        return "not a complete safetensors file: it has no header"
    return f"truncated or not a PyTorch checkpoint: it begins with {head[:8]!r}"


def _of_zip(path: Path, size: int) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise CheckpointError(f"{path} is truncated or damaged, a zip file without its end: load it again") from error
    names = [entry.filename for entry in entries]
    if any("/code/" in name or name.endswith("/constants.pkl") for name in names):
        raise CheckpointError(f"{path} is a TorchScript model, whose weights come with code: {_SAVE}")
    if not any(name == "data.pkl" or name.endswith("/data.pkl") for name in names):
        inside = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        what = "a NumPy archive" if names and all(n.endswith(".npy") for n in names) else "a zip archive"
        fix = "unpack it first, and give the checkpoint in it" if what == "a zip archive" else _SAVE
        raise CheckpointError(f"{path} is {what} of {inside or 'nothing'}, not a checkpoint: {fix}")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > _MOST_UNPACKED * size:
        raise CheckpointError(
            f"{path} has {size} bytes and claims to hold {unpacked}: no checkpoint is packed so; it was not unpacked"
        )
    if any(entry.CRC for entry in entries):  # PyTorch may have been told to leave the sums out: they are 0 then
        _check_sums(path)
    return "PyTorch (zip)"


def _check_sums(path: Path) -> None:
    """PyTorch does not look at them."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except Exception as error:  # damaged bytes meet zipfile and zlib with any exception there is
        raise CheckpointError(f"{path} is damaged: {error}; load or copy it again") from error
    if damaged:
        raise CheckpointError(f"{path} is damaged: the checksum of {damaged} is wrong; load or copy it again")
