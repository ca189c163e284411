"""Other inputs: of the same kind, and other."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from occvino.doctor.vary import variants_of

integers = st.lists(st.integers(0, 9), min_size=1, max_size=6)


@given(integers, st.booleans())
def test_every_variant_has_the_same_shape_and_type_and_other_values(values, ascending):
    value = torch.tensor(sorted(values) if ascending else values)
    for given_ in (value, value[0], value > 4, value.float(), value.reshape(1, -1)):
        variants = list(variants_of(given_))
        assert variants
        for variant in variants:
            assert (variant.shape, variant.dtype) == (given_.shape, given_.dtype)
            assert not torch.equal(variant, given_)


@given(integers)
def test_the_first_variant_of_ascending_integers_ascends_and_leaves_a_first_zero(values):
    value = torch.tensor(sorted(values))
    if value[0] == value[-1]:
        return
    variant = next(variants_of(value))
    assert bool((variant[1:] >= variant[:-1]).all())
    assert int(variant.min()) >= 0
    assert int(variant[0]) == 0 if value[0] == 0 else int(variant[0]) != int(value[0])


def test_nothing_is_made_of_nothing():
    assert list(variants_of(torch.empty(0, 3))) == []
