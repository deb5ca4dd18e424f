"""Tests of dividing a log into work units."""

import pathlib

import hypothesis
from hypothesis import strategies as st
import pytest

from rrl_pipeline import types
from rrl_pipeline.beam_jobs import conversion_plan
from rrl_pipeline.beam_jobs import transforms
from rrl_pipeline.beam_jobs import work_directory
from rrl_pipeline.logs import formats
from rrl_pipeline.logs import reader
from rrl_pipeline.rlds import observations
from rrl_pipeline.rlds import png
from rrl_pipeline.rlds import record_files
from rrl_pipeline.rlds import replay_datasets
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import validation

ROOT = pathlib.Path(__file__).parents[2]

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


LAYOUT = conversion_plan.ShardLayout('d', 'tfrecord', False)


def _plan(spans, num_shards=None, layout=LAYOUT):
  return conversion_plan.plan_units(spans, num_shards, layout, 'job')


def test_small_log_is_one_unit():
  spans = _spans([10, 20])
  (unit,) = _plan(spans)
  assert unit.spans == tuple(spans)
  assert unit.shard == 'd-train.tfrecord-00000-of-00001'
  assert unit.transitions == 30


def test_more_than_a_million_steps_are_two_units():
  assert len(_plan(_spans([10_000] * 100))) == 1
  units = _plan(_spans([10_000] * 102))
  assert [unit.transitions for unit in units] == [510_000, 510_000]
  assert [unit.shard for unit in units] == [
      'd-train.tfrecord-00000-of-00002', 'd-train.tfrecord-00001-of-00002'
  ]


def test_unit_is_of_one_checkpoint():
  units = _plan(_spans([10], [10, 10], [10]))
  assert [len(unit.spans) for unit in units] == [1, 2, 1]


def test_checkpoints_as_splits():
  layout = conversion_plan.ShardLayout('d', 'array_record', True)
  units = _plan(_spans([10], [], [10, 10]), 3, layout)
  assert [(unit.split, unit.shard) for unit in units] == [
      ('checkpoint_00', 'd-checkpoint_00.array_record-00000-of-00001'),
      ('checkpoint_02', 'd-checkpoint_02.array_record-00000-of-00002'),
      ('checkpoint_02', 'd-checkpoint_02.array_record-00001-of-00002'),
  ]


def test_duplicates_reach_their_unit():
  spans = _spans([10] * 4)
  units = conversion_plan.plan_units(
      spans, 2, LAYOUT, 'job', {'1': {'0': 'another'}}
  )
  assert [unit.duplicates for unit in units] == [(), ((0, 'another'),)]
  before = _plan(spans, 2)
  assert units[0].fingerprint == before[0].fingerprint
  assert units[1].fingerprint != before[1].fingerprint


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
      conversion_plan.plan_units(spans, None, LAYOUT, job)[0].fingerprint
      for job in ('a', 'b')
  }
  assert len(fingerprints) == 2


@pytest.mark.parametrize('frame_encoding', schema.ENCODINGS)
@pytest.mark.parametrize('file_format', record_files.FILE_FORMATS)
def test_cost_is_near_the_truth(tmp_path, file_format, frame_encoding):
  log_dir = str(ROOT / 'tests/testdata/dopamine/unwrapped/checkpoints')
  work = work_directory.WorkDirectory(str(tmp_path / 'work'))
  with work.locked():
    work.begin({}, {})
  job = transforms.ConversionJob(
      formats.LogConfig(log_dir, formats.DOPAMINE),
      work.root,
      replay_datasets.ReplayDataset(
          'd',
          'c_run_1',
          observations.ObservationFormat((84, 84), frame_encoding),
      ),
      file_format,
      png.ZLIB,
      validation.Limits(6, 4, True),
  )
  log_reader = formats.open_reader(job.log)
  index = log_reader.index()
  units = _plan(index.spans[:2])
  cost = conversion_plan.estimate_cost(job, units, log_reader, index.sources)
  manifest = transforms.convert_unit(job, units[0])
  assert cost.transitions == manifest['transitions']
  assert cost.read_bytes == sum(
      path.stat().st_size
      for path in pathlib.Path(log_dir).glob(
          f'*_ckpt.{index.checkpoints[0]}.gz'
      )
      if 'invalid_range' not in path.name
  )
  assert cost.write_bytes == pytest.approx(manifest['file_bytes'], rel=0.5)
  assert cost.seconds > 0
