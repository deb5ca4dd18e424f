"""Tests of dividing a log into work units."""

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest

from rrl_pipeline import types
from rrl_pipeline.beam_jobs import conversion_plan
from rrl_pipeline.logs import dopamine
from rrl_pipeline.logs import reader
from rrl_pipeline.rlds import png
from rrl_pipeline.testing import replay_logs


def _spans(*groups):
  """Episodes of the given lengths; one group for each checkpoint."""
  spans = []
  add = 0
  for checkpoint, lengths in enumerate(groups):
    for episode, length in enumerate(lengths):
      add += 3
      spans.append(
          reader.EpisodeSpan(
              checkpoint, episode, add, length, 3,
              types.EpisodeEnd.TERMINAL, True,
          )
      )
      add += length
  return spans


def _plan(spans, num_shards=None):
  return conversion_plan.plan_units(spans, num_shards, 'd', 'train', 'job')


def test_small_log_is_one_unit():
  spans = _spans([10, 20])
  (unit,) = _plan(spans)
  assert unit.spans == tuple(spans)
  assert unit.shard == 'd-train.tfrecord-00000-of-00001'
  assert unit.transitions == 30


def test_million_steps_are_two_units():
  units = _plan(_spans([10_000] * 100))
  assert [unit.transitions for unit in units] == [500_000, 500_000]
  assert [unit.shard for unit in units] == [
      'd-train.tfrecord-00000-of-00002', 'd-train.tfrecord-00001-of-00002'
  ]


def test_unit_is_of_one_checkpoint():
  units = _plan(_spans([10], [10, 10], [10]))
  assert [len(unit.spans) for unit in units] == [1, 2, 1]


def test_units_are_of_about_equal_length():
  units = _plan(_spans([5, 5, 30, 5, 5, 10, 30]), 3)
  assert [[s.length for s in unit.spans] for unit in units] == [
      [5, 5, 30], [5, 5, 10], [30]
  ]


def test_longer_checkpoints_get_more_units():
  units = _plan(_spans([10] * 2, [10] * 8), 5)
  assert [unit.spans[0].checkpoint_id for unit in units] == [0, 1, 1, 1, 1]


@pytest.mark.parametrize('num_shards', [0, 1, 5])
def test_impossible_number_of_shards(num_shards):
  with pytest.raises(
      ValueError,
      match=rf'num_shards is {num_shards}; expected at least 2 .* at most 4',
  ):
    _plan(_spans([10, 10], [10, 10]), num_shards)


@hypothesis.given(
    st.lists(
        st.lists(st.integers(1, 50), min_size=1, max_size=8),
        min_size=1,
        max_size=4,
    ),
    st.data(),
)
def test_division_keeps_every_episode_once_in_order(groups, data):
  spans = _spans(*groups)
  num_shards = data.draw(st.integers(len(groups), len(spans)))
  units = _plan(spans, num_shards)
  assert len(units) == num_shards
  assert [span for unit in units for span in unit.spans] == spans
  assert all(len({s.checkpoint_id for s in u.spans}) == 1 for u in units)
  assert len({unit.fingerprint for unit in units}) == num_shards


def test_fingerprint_tells_jobs_apart():
  spans = _spans([10])
  fingerprints = {
      conversion_plan.plan_units(spans, None, 'd', 'train', job)[0].fingerprint
      for job in ('a', 'b')
  }
  assert len(fingerprints) == 2


def test_cost_is_near_the_truth(tmp_path):
  rng = np.random.default_rng(0)
  replay_logs.write_log(
      str(tmp_path), [replay_logs.random_episode(rng, 100) for _ in range(3)]
  )
  log_reader = dopamine.DopamineReader(
      dopamine.DopamineLogConfig(str(tmp_path))
  )
  index = log_reader.index()
  cost = conversion_plan.estimate_cost(
      _plan(index.spans), log_reader, index.sources, png.ZLIB
  )
  frames = next(log_reader.read(index.spans)).load().observations
  encoder = png.PngEncoder((84, 84), png.ZLIB)
  frame_bytes = np.mean([len(encoder.encode(frame)) for frame in frames])
  assert cost.transitions == 300
  assert cost.read_bytes == sum(
      path.stat().st_size
      for path in tmp_path.iterdir()
      if path.suffix == '.gz' and 'invalid_range' not in path.name
  )
  assert cost.write_bytes == pytest.approx(300 * (frame_bytes + 25), rel=0.01)
  assert cost.seconds > 0
