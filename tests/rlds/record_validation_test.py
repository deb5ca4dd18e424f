"""Tests of the rules that finished records must keep."""

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest

from rrl_pipeline import types
from rrl_pipeline.logs import reader
from rrl_pipeline.rlds import record_validation
from rrl_pipeline.rlds import schema

FRACTIONS = st.floats(-100, 100, width=32)


def _record(
    end=types.EpisodeEnd.TERMINAL, rewards=(1.0, 0.5, -1.0), **changes
):
  length = len(rewards)
  span = reader.EpisodeSpan(
      0, 0, 3, length, 3, end, **{'complete_start': True, **changes}
  )
  count = length + span.has_final_observation
  return schema.to_record(
      schema.EncodedEpisode(
          span=span,
          frames=[b'frame'] * count,
          actions=np.arange(length),
          rewards=np.array(rewards, np.float32),
          checksums=np.arange(count),
          is_blank=np.zeros(count, bool),
          content_sha256='',
      ),
      'uid',
      b'blank',
  )


@hypothesis.given(
    st.sampled_from(types.EpisodeEnd),
    st.lists(FRACTIONS, min_size=1, max_size=50),
    st.booleans(),
    st.booleans(),
)
def test_every_record_of_the_schema_keeps_the_rules(
    end, rewards, complete_start, final_observation
):
  record = _record(
      end, rewards, complete_start=complete_start,
      has_final_observation=final_observation,
  )
  assert not record_validation.violations(record)


@pytest.mark.parametrize(
    'name,step,value,message',
    [
        (schema.IS_FIRST, 1, True, 'is_first of step 1 of 4 is True; expected'),
        (schema.IS_FIRST, 0, False, 'is_first of step 0 of 4 is False'),
        (schema.IS_LAST, 1, True, 'is_last of step 1 of 4 is True'),
        (schema.IS_LAST, 3, False, 'is_last of step 3 of 4 is False'),
        (schema.IS_TERMINAL, 2, True, 'is_terminal of step 2 of 4 is True'),
        (schema.IS_TERMINAL, 3, False, 'is_terminal of step 3 of 4 is False'),
        (schema.DISCOUNT, 2, 1, 'discount of step 2 of 4 is 1.0; expected 0.0'),
        (schema.DISCOUNT, 0, 0, 'discount of step 0 of 4 is 0.0; expected 1.0'),
    ],
)
def test_inconsistent_flag(name, step, value, message):
  record = _record()
  record[schema.STEPS][name][step] = value
  broken = record_validation.violations(record)
  assert list(broken) == ['flags_are_consistent']
  assert broken['flags_are_consistent'].startswith(message)
  assert broken['flags_are_consistent'].endswith('with the end terminal')


def test_terminal_flag_of_a_cut_episode():
  record = _record(types.EpisodeEnd.TRUNCATED)
  record[schema.STEPS][schema.IS_TERMINAL][-1] = True
  assert 'is_terminal of step 2 of 3 is True; expected False' in (
      record_validation.flags_are_consistent(record)
  )


@pytest.mark.parametrize('end', list(types.EpisodeEnd))
def test_wrong_return(end):
  record = _record(end)
  record[schema.EPISODE_RETURN] = np.float32(1.5)
  assert record_validation.violations(record) == {
      'rewards_add_up': (
          'its return is 1.5, but its rewards add up to 0.5'
      )
  }


def test_missing_value():
  record = _record()
  steps = record[schema.STEPS]
  steps[schema.ACTION] = steps[schema.ACTION][:-1]
  broken = record_validation.violations(record)
  assert list(broken) == ['columns_agree']
  assert '3 of action' in broken['columns_agree']
  assert broken['columns_agree'].endswith('expected 4 of each')
