"""Names of before: they work, and warn at the line that uses them."""

import numpy as np
import pytest

import occvino
from occvino.geometry.rig import Rig
from occvino.runtime import Pipeline
from occvino.runtime.memory import History


def test_the_old_names_work_and_warn(nano, rig: Rig, images):
    with pytest.warns(DeprecationWarning, match=r"occvino\.Shot is called occvino\.Frame now"):
        shot = occvino.Shot
    assert shot is occvino.Frame
    with pytest.warns(DeprecationWarning, match="frames= of Frame.__init__ is called images= now") as told:
        frame = shot(frames=images, rig=rig)
    assert frame.images is images
    assert told[0].filename == __file__
    pipeline = Pipeline(nano, precision="f32")
    with pytest.warns(DeprecationWarning, match="frames= of Pipeline.__call__ is called images= now") as told:
        found = pipeline(frames=images, rig=rig).labels
    assert told[0].filename == __file__
    with pytest.warns(DeprecationWarning, match="shots= of Pipeline.stream is called frames= now"):
        (streamed,) = pipeline.stream(shots=[frame])
    assert np.array_equal(found, streamed.labels)
    with pytest.warns(DeprecationWarning, match="moments is called History.frames"):
        assert History(3, 4).moments == 3


def test_both_names_at_once_are_refused(nano, rig, images):
    with pytest.warns(DeprecationWarning, match="frames="), pytest.raises(TypeError, match="frames= and images="):
        Pipeline(nano)(frames=images, images=images, rig=rig)
