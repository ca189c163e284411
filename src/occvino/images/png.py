"""The check sums of a PNG's pixels, which Pillow does not compare: a flipped bit would be read as other colours."""

import zlib

PNG = b"\x89PNG\r\n\x1a\n"
"""How a PNG begins."""
_AROUND = 12
"""Bytes of a chunk beside its data: length, kind, check sum."""


def damaged_pixels(encoded: bytes) -> bool:
    """Whether a PNG holds pixel data whose check sum is not the one written behind it; False of what is no PNG."""
    if not encoded.startswith(PNG):
        return False
    view, at = memoryview(encoded), len(PNG)
    while at + _AROUND <= len(view):
        length, kind = int.from_bytes(view[at : at + 4], "big"), bytes(view[at + 4 : at + 8])
        end = at + 8 + length
        if end + 4 > len(view):  # cut off: the decoder says so
            break
        if kind == b"IDAT" and zlib.crc32(view[at + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            return True
        if kind == b"IEND":
            break
        at = end + 4
    return False
