"""Tests of the declared range of observations."""

import json
import math

import hypothesis
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy
import numpy as np
import pytest

from rrl_pipeline.logs import bounds

_LIMITS = st.floats(-10, 10, width=32)


@hypothesis.given(
    block=hypothesis_numpy.arrays(
        np.float32, (3, 2, 2), elements=st.floats(-20, 20, width=32)
    ),
    low=st.lists(_LIMITS, min_size=4, max_size=4),
    high=st.lists(_LIMITS, min_size=4, max_size=4),
)
def test_each_number_has_its_own_range(block, low, high):
  found = bounds.Bounds(tuple(low), tuple(high)).are_left_by(block)
  expected = [
      any(
          not low[i] <= float(number) <= high[i]
          for i, number in enumerate(observation.ravel())
      )
      for observation in block
  ]
  assert found.tolist() == expected


def test_limits_have_the_precision_of_the_observations():
  tenth = np.array([[0.1]], np.float32)
  assert float(tenth[0, 0]) > 0.1
  assert not bounds.Bounds((0.0,), (0.1,)).are_left_by(tenth).any()


def test_nan_is_in_no_range():
  block = np.array([[0, np.nan], [0, 1]], np.float32)
  everything = bounds.Bounds((-math.inf,), (math.inf,))
  assert everything.are_left_by(block).tolist() == [True, False]


@pytest.mark.parametrize(
    'minimum, maximum, shape, dtype, expected',
    [
        (0, 255, (84, 84), np.uint8, None),
        (-np.inf, np.inf, (3,), np.float32, None),
        (0, 1, (4, 4, 2), np.uint8, bounds.Bounds((0.0,), (1.0,))),
        (-1, np.inf, (3,), np.float32, bounds.Bounds((-1.0,), (math.inf,))),
        (
            [0, 1, -1], 2, (3,), np.float32,
            bounds.Bounds((0.0, 1.0, -1.0), (2.0,)),
        ),
        (False, True, (3,), np.bool_, None),
    ],
)
def test_what_a_spec_declares(minimum, maximum, shape, dtype, expected):
  assert bounds.declared(minimum, maximum, shape, dtype) == expected


@hypothesis.given(
    low=st.lists(_LIMITS | st.just(-math.inf), min_size=1),
    high=st.lists(_LIMITS | st.just(math.inf), min_size=1),
)
def test_survives_json_without_infinities(low, high):
  value = bounds.Bounds(tuple(low), tuple(high))
  text = json.dumps(value.to_json_value(), allow_nan=False)
  assert bounds.Bounds.from_json_value(json.loads(text)) == value


@pytest.mark.parametrize('limits', [(), (math.nan,)])
def test_no_numbers_are_refused(limits):
  with pytest.raises(ValueError, match='the minimum of observations'):
    bounds.Bounds(limits, (1.0,))
