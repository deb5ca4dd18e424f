"""Tests of random streams against NumPy's own generators."""

import hypothesis
from hypothesis import strategies as st
import numpy as np

from rrl_pipeline.replay import random_streams

_KEYS = st.integers(0, 2**63 - 1)


@hypothesis.given(st.lists(st.tuples(_KEYS, _KEYS), min_size=1, max_size=4))
def test_numbers_are_those_of_a_new_generator(keys):
  streams = random_streams.RandomStreams()
  for key in keys:
    ours = streams.at(*key)
    numpys = np.random.Generator(np.random.Philox(key=list(key)))
    for generator in (ours, numpys):
      generator.random(3, np.float32)  # Leaves half a word behind.
    np.testing.assert_array_equal(
        ours.integers(5, 10**6, 65), numpys.integers(5, 10**6, 65)
    )
    np.testing.assert_array_equal(
        ours.multinomial(9, [0.2, 0.8]), numpys.multinomial(9, [0.2, 0.8])
    )
