"""Each test that asks for `decoder` runs with and without simplejpeg: what is read must not depend on it."""

import pytest

from occvino.images import decode as decoding


@pytest.fixture(params=["simplejpeg", "Pillow"])
def decoder(request, monkeypatch):
    if request.param == "Pillow":
        monkeypatch.setattr(decoding, "simplejpeg", None)
    return request.param
