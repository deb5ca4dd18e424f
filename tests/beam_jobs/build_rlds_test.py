"""Tests of whole conversions: equal to the truth, or one clear error."""

import io
import gzip
import json
import os
import pathlib
import shutil
import zlib

import numpy as np
import pytest
import tensorflow_datasets as tfds

from rrl_pipeline.beam_jobs import build_rlds
from rrl_pipeline.beam_jobs import execution
from rrl_pipeline.beam_jobs import finalize
from rrl_pipeline.beam_jobs import transforms
from rrl_pipeline.beam_jobs import work_directory
from rrl_pipeline.logs import dopamine_files
from rrl_pipeline.logs import npy_gzip
from rrl_pipeline.logs import reader
from rrl_pipeline.rlds import schema
from rrl_pipeline.testing import replay_logs

ROOT = pathlib.Path(__file__).parents[2]
SAMPLES = ROOT / 'tests' / 'testdata' / 'dopamine'


def _config(log_dir, data_dir, **changes):
  return build_rlds.BuildRldsConfig(str(log_dir), str(data_dir), **changes)


def _load(path):
  """The episodes of a dataset, steps as arrays."""
  dataset = tfds.builder_from_directory(path).as_dataset(split='train')
  for episode in dataset:
    steps = next(iter(episode.pop(schema.STEPS).batch(30_000)))
    yield (
        {name: value.numpy() for name, value in episode.items()},
        {name: value.numpy() for name, value in steps.items()},
    )


@pytest.mark.parametrize(
    'sample,checkpoints,num_shards,episodes,transitions',
    [
        ('unwrapped', 'latest', None, 13, 12912),
        ('wrapped', 'latest', 2, 12, 9967),
        ('wrapped', 'all', 5, 22, 19196),
    ],
)
def test_dataset_equals_the_truth(
    tmp_path, sample, checkpoints, num_shards, episodes, transitions
):
  """Every frame, action and reward that Dopamine logged, and nothing else."""
  summary = build_rlds.convert(
      _config(
          SAMPLES / sample / 'checkpoints', tmp_path,
          checkpoints=checkpoints, num_shards=num_shards,
      )
  )
  assert summary.path == str(tmp_path / 'atari_replay' / 'Pong_run_1' / '1.1.0')
  assert (summary.episodes, summary.transitions) == (episodes, transitions)
  # All of these episodes ended in a terminal state.
  assert summary.steps == transitions + episodes
  truth = replay_logs.load_truth(str(SAMPLES / sample))
  found = 0
  for episode, steps in _load(summary.path):
    true = replay_logs.episode_at(truth, episode[schema.FIRST_ADD_INDEX])
    offset = episode[schema.FIRST_ADD_INDEX] - true.first_add
    frames = steps[schema.OBSERVATION]
    assert frames.shape[1:] == (84, 84, 1) and frames.dtype == np.uint8
    assert [zlib.crc32(f.tobytes()) for f in frames[:-1]] == (
        true.frame_crc32[offset:]
    )
    assert steps[schema.ACTION].tolist() == [*true.actions[offset:], 0]
    assert steps[schema.REWARD].tolist() == [*true.rewards[offset:], 0]
    assert not frames[-1].any()
    length = true.length - offset
    assert steps[schema.DISCOUNT].tolist() == [1] * (length - 1) + [0, 0]
    assert steps[schema.IS_LAST].tolist() == [False] * length + [True]
    assert steps[schema.IS_TERMINAL].tolist() == [False] * length + [True]
    assert steps[schema.IS_FIRST].tolist() == [offset == 0] + [False] * length
    assert episode[schema.COMPLETE_START] == (offset == 0)
    assert episode[schema.EPISODE_LENGTH] == length
    assert episode[schema.EPISODE_RETURN] == sum(true.rewards[offset:])
    assert episode[schema.END_KIND] == b'terminal'
    found += 1
  assert found == episodes
  assert os.listdir(os.path.dirname(summary.path)) == ['1.1.0']


@pytest.fixture(name='rng')
def fixture_rng():
  return np.random.default_rng(0)


@pytest.fixture(name='log')
def fixture_log(tmp_path):
  """A log whose episodes end in each of the three ways."""
  log = tmp_path / 'log'
  replay_logs.write_log_of_each_end(log)
  return log


def test_time_limit_is_not_terminal(log, tmp_path):
  summary = build_rlds.convert(_config(log, tmp_path / 'data'))
  assert (summary.transitions, summary.steps) == (15, 7 + 5 + 4)
  ends = [
      (
          episode[schema.END_KIND].decode(),
          len(steps[schema.IS_LAST]),
          bool(steps[schema.IS_TERMINAL].any()),
          float(steps[schema.DISCOUNT].min()),
      )
      for episode, steps in _load(summary.path)
  ]
  assert ends == [
      ('terminal', 7, True, 0.0),
      ('truncated', 5, False, 1.0),
      ('log_end', 4, False, 1.0),
  ]


def _bytes_of(directory):
  return {
      path.name: path.read_bytes() for path in pathlib.Path(directory).iterdir()
  }


def test_same_log_gives_same_bytes(tmp_path):
  log = SAMPLES / 'wrapped' / 'checkpoints'
  paths = [
      build_rlds.convert(
          _config(log, tmp_path / name, checkpoints='all', num_shards=4), args
      ).path
      for name, args in (
          ('a', []),
          ('b', ['--runner=BundleBasedDirectRunner']),
      )
  ]
  assert _bytes_of(paths[0]) == _bytes_of(paths[1])


def test_several_processes_give_same_bytes(log, tmp_path, monkeypatch):
  monkeypatch.setenv('PYTHONPATH', str(ROOT))
  paths = [
      build_rlds.convert(_config(log, tmp_path / name, num_shards=3), args).path
      for name, args in (
          ('a', []),
          (
              'b',
              [
                  '--direct_num_workers=2',
                  '--direct_running_mode=multi_processing',
              ],
          ),
      )
  ]
  assert _bytes_of(paths[0]) == _bytes_of(paths[1])


def test_metadata_tells_where_the_data_come_from(log, tmp_path):
  (log / dopamine_files.METADATA_FILE).write_text('{"epsilon": 0.5}')
  summary = build_rlds.convert(_config(log, tmp_path / 'data'))
  builder = tfds.builder_from_directory(summary.path)
  metadata = builder.info.metadata[finalize.METADATA_KEY]
  assert metadata['log'] == {'epsilon': 0.5}
  assert metadata['options']['checkpoints'] == '0'
  assert metadata['totals']['transitions'] == 15
  assert all(isinstance(loss, str) for loss in metadata['losses'])
  assert metadata['losses']
  assert metadata['log_format']['log_format'] == 'dopamine'
  assert str(log) in metadata['log_format']['reason']
  assert metadata['checkpoints'] == {
      '0': {'first': 0, 'split': 'train[0:3]', 'episodes': 3, 'transitions': 15}
  }
  assert {file['name'] for file in metadata['sources']['0']} == {
      path.name
      for path in log.glob('*.gz')
      if 'invalid_range' not in path.name
  }
  assert builder.info.splits['train'].num_examples == 3
  assert builder.info.config_name == 'Pong_run_1'


def test_second_call_returns_at_once(log, tmp_path, monkeypatch):
  config = _config(log, tmp_path / 'data')
  summary = build_rlds.convert(config)

  def fail(*_):
    raise AssertionError('it works again')

  monkeypatch.setattr(transforms, 'convert_unit', fail)
  assert build_rlds.convert(config) == summary


def test_dataset_of_other_options_is_not_overwritten(log, tmp_path):
  build_rlds.convert(_config(log, tmp_path / 'data'))
  with pytest.raises(
      work_directory.OtherJobError,
      match='1.1.0 was made with other options: num_shards was None and is 2',
  ):
    build_rlds.convert(_config(log, tmp_path / 'data', num_shards=2))


def test_dataset_of_another_log_is_not_overwritten(log, tmp_path, rng):
  build_rlds.convert(_config(log, tmp_path / 'data'))
  replay_logs.write_log(str(log), [replay_logs.random_episode(rng, 9)], 30)
  with pytest.raises(
      work_directory.OtherJobError, match='made from another version of the log'
  ):
    build_rlds.convert(_config(log, tmp_path / 'data'))


def test_dataset_of_another_program_is_not_overwritten(log, tmp_path):
  version_dir = tmp_path / 'data' / 'atari_replay' / 'Pong_run_1' / '1.1.0'
  version_dir.mkdir(parents=True)
  with pytest.raises(
      work_directory.OtherJobError, match='was not made by this program'
  ):
    build_rlds.convert(_config(log, tmp_path / 'data'))


def _set_reward(log, slot, value):
  path = dopamine_files.path_of(str(log), dopamine_files.REWARD, 0)
  rewards = npy_gzip.read_array(path).copy()
  rewards[slot] = value
  contents = io.BytesIO()
  np.save(contents, rewards)
  pathlib.Path(path).write_bytes(gzip.compress(contents.getvalue()))


def test_broken_episode_fails_the_job_unless_accepted(log, tmp_path):
  _set_reward(log, 4, np.nan)  # The second step of the first episode.
  config = _config(log, tmp_path / 'data')
  with pytest.raises(
      finalize.TooManyRejectedError,
      match=r'1 of 3 episodes break a rule \(33.33%.*1 of its rewards are not '
      r'finite: the first, of step 1, is nan. All are listed in ',
  ):
    build_rlds.convert(config)
  summary = build_rlds.convert(
      _config(log, tmp_path / 'data', max_rejected_fraction=0.5)
  )
  assert (summary.episodes, summary.rejected_episodes) == (2, 1)
  with open(
      os.path.join(summary.path, 'rejects.jsonl'), encoding='utf-8'
  ) as file:
    (line,) = file
  rejected = json.loads(line)
  assert (rejected['checkpoint'], rejected['episode']) == (0, 0)
  assert len(list(_load(summary.path))) == 2


def test_shard_without_episodes_is_read_like_others(log, tmp_path):
  _set_reward(log, 4, np.nan)
  summary = build_rlds.convert(
      _config(log, tmp_path / 'data', num_shards=3, max_rejected_fraction=0.5)
  )
  assert len(list(_load(summary.path))) == 2


def test_damaged_log_names_its_file_and_is_converted_when_repaired(
    log, tmp_path
):
  path = log / f'{dopamine_files.OBSERVATION}_ckpt.0.gz'
  whole = path.read_bytes()
  middle = len(whole) // 2
  path.write_bytes(whole[:middle] + b'\0\0\0\0' + whole[middle + 4 :])
  with pytest.raises(reader.LogError, match='is not a complete gzip file') as e:
    build_rlds.convert(_config(log, tmp_path / 'data'))
  assert str(path) in str(e.value)
  path.write_bytes(whole)
  assert build_rlds.convert(_config(log, tmp_path / 'data')).episodes == 3


def test_damage_found_by_a_worker_is_reported_as_such(
    log, tmp_path, monkeypatch
):
  def fail(*_):
    raise reader.LogError('some.gz is damaged')

  monkeypatch.setattr(transforms, 'convert_unit', fail)
  with pytest.raises(reader.LogError, match='^some.gz is damaged$'):
    build_rlds.convert(_config(log, tmp_path / 'data', num_shards=2))


def test_failure_of_beam_is_reported_as_such(log, tmp_path, monkeypatch):
  def fail(*_):
    raise OSError('the disk is on fire')

  monkeypatch.setattr(transforms, 'convert_unit', fail)
  with pytest.raises(
      execution.BeamJobError, match='(?s)the disk is on fire.*shards are kept'
  ):
    build_rlds.convert(_config(log, tmp_path / 'data'))


def test_small_disk_is_noticed_before(log, tmp_path, monkeypatch):
  usage = shutil.disk_usage(tmp_path)._replace(free=1000)
  monkeypatch.setattr(shutil, 'disk_usage', lambda _: usage)
  with pytest.raises(OSError, match='0 MB free; the dataset will take about'):
    build_rlds.convert(_config(log, tmp_path / 'data'))


def test_other_frames_are_refused(tmp_path, rng):
  log = tmp_path / 'log'
  episode = replay_logs.random_episode(rng, 9, (64, 64))
  replay_logs.write_log(str(log), [episode])
  with pytest.raises(
      reader.LogError, match=r'are \(64, 64\); atari_replay holds .* \(84, 84\)'
  ):
    build_rlds.convert(_config(log, tmp_path / 'data'))


def test_mode_that_loses_records_is_refused(log, tmp_path):
  with pytest.raises(ValueError, match='multi_threading has been seen to lose'):
    build_rlds.convert(
        _config(log, tmp_path / 'data'),
        ['--direct_running_mode=multi_threading'],
    )
  assert not (tmp_path / 'data').exists()


def test_dask_gets_one_unit_at_a_time():
  dask = '--runner=apache_beam.runners.dask.dask_runner.DaskRunner'
  assert execution.runner_args([dask]) == [dask, '--dask_partition_size=1']
  args = [dask, '--dask_npartitions=2']
  assert execution.runner_args(args) == args


def test_default_runner_downloads_nothing():
  assert execution.runner_args([]) == ['--runner=FnApiRunner']
  for args in (['--runner=FlinkRunner'], ['--runner', 'FlinkRunner']):
    assert execution.runner_args(args) == args


@pytest.mark.parametrize(
    'changes,message',
    [
        (dict(game='pong'), 'expected CamelCase'),
        (dict(run=-1), 'a number from 0'),
        (dict(num_actions=0), 'num_actions is 0'),
        (dict(log_format='csv'), "log_format is 'csv'; expected 'auto' or one"),
        (dict(time_limit_steps=(0,)), 'time_limit_steps is .*at least 1'),
        (dict(file_format='parquet'), 'Parquet writer of TFDS loses records'),
        (dict(frame_encoding='jpeg'), "'jpeg'; expected 'png' or 'raw'"),
        (dict(max_rejected_fraction=1.5), 'max_rejected_fraction is 1.5'),
    ],
)
def test_bad_options(changes, message):
  with pytest.raises(ValueError, match=message):
    build_rlds.BuildRldsConfig('log', 'data', **changes)
