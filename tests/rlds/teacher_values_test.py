"""Tests of how a dataset says whose values it holds."""

import numpy as np
import pytest

from rrl_pipeline.rlds import teacher_values
from rrl_pipeline.teachers import bundle


@pytest.mark.parametrize('kind', bundle._KINDS)
def test_every_kind_of_teacher_has_a_meaning(kind):
  described = teacher_values.describe('ab', kind, ('LEFT', 'UP'), (84, 84, 4))
  assert described['kind'] == kind and described['meaning']
  assert described['action_meanings'] == ['LEFT', 'UP']
  assert described['observation_shape'] == [84, 84, 4]
  metadata = {teacher_values.METADATA_KEY: described, 'other': 1}
  assert teacher_values.sha256_of(metadata) == 'ab'


@pytest.mark.parametrize(
    'metadata',
    [None, {}, {'other': 1}, {'teacher': 'somebody'}, {'teacher': {}}],
)
def test_a_dataset_that_does_not_say_has_no_teacher(metadata):
  assert teacher_values.sha256_of(metadata) is None


def test_a_step_has_one_value_for_each_action():
  feature = teacher_values.step_feature(18)
  assert (feature.shape, feature.np_dtype) == ((18,), np.float32)
