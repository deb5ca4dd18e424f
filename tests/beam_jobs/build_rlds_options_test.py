"""Tests of what a dataset can be made to be: formats, splits, rules."""

import itertools
import json
import os
import pathlib

import numpy as np
import pytest
import tensorflow_datasets as tfds

from rrl_pipeline.beam_jobs import build_rlds
from rrl_pipeline.beam_jobs import finalize
from rrl_pipeline.beam_jobs import transforms
from rrl_pipeline.beam_jobs import work_directory
from rrl_pipeline.datasets import atari_replay
from rrl_pipeline.rlds import record_files
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import tf_example
from rrl_pipeline.rlds import validation
from rrl_pipeline.testing import replay_logs

ROOT = pathlib.Path(__file__).parents[2]
SAMPLES = ROOT / 'tests' / 'testdata' / 'dopamine'
WRAPPED = SAMPLES / 'wrapped' / 'checkpoints'


def _config(log_dir, data_dir, **changes):
  return build_rlds.BuildRldsConfig(str(log_dir), str(data_dir), **changes)


def _plain(value):
  """Arrays and scalars of NumPy as lists and scalars of Python."""
  return np.asarray(value).tolist()


def _from_data_source(source):
  """Episodes of a data source, the steps as columns."""
  for episode in source:
    steps = list(episode.pop(schema.STEPS))
    yield (
        {name: _plain(value) for name, value in episode.items()},
        {name: _plain([s[name] for s in steps]) for name in steps[0]},
    )


def _from_dataset(dataset):
  """Episodes of a tf.data dataset, the steps as columns."""
  for episode in dataset:
    steps = next(iter(episode.pop(schema.STEPS).batch(30_000)))
    yield (
        {name: _plain(value) for name, value in episode.items()},
        {name: _plain(value) for name, value in steps.items()},
    )


@pytest.fixture(name='log')
def fixture_log(tmp_path):
  """A log whose episodes end in each of the three ways."""
  log = tmp_path / 'log'
  replay_logs.write_log_of_each_end(log)
  return log


def test_every_format_holds_the_same(log, tmp_path):
  """Read by name, from the folder, and by the number of the episode."""
  found = []
  for file_format, frame_encoding in itertools.product(
      record_files.FILE_FORMATS, schema.ENCODINGS
  ):
    data_dir = tmp_path / f'{file_format}_{frame_encoding}'
    summary = build_rlds.convert(
        _config(
            log, data_dir, num_shards=2, file_format=file_format,
            frame_encoding=frame_encoding,
        )
    )
    config = 'Pong_run_1' + ('_raw' if frame_encoding == 'raw' else '')
    assert summary.path == str(data_dir / 'atari_replay' / config / '1.1.0')
    by_name = tfds.builder(f'atari_replay/{config}', data_dir=data_dir)
    from_folder = tfds.builder_from_directory(summary.path)
    for builder in (by_name, from_folder):
      assert builder.info.file_format.value == file_format
      if file_format == record_files.TFRECORD:
        episodes = list(_from_dataset(builder.as_dataset(split='train')))
      else:
        source = builder.as_data_source('train')
        assert len(source) == 3
        assert source[1][schema.EPISODE_LENGTH] == 5
        episodes = list(_from_data_source(source))
      for episode, _ in episodes:  # The name of the configuration is in it.
        del episode[schema.UID]
        for name, value in episode.items():
          if isinstance(value, bytes):
            episode[name] = value.decode()
      found.append(episodes)
  assert len(found) == 8
  assert all(episodes == found[0] for episodes in found)


def test_tfds_builds_the_same_raw_records(log, tmp_path):
  """The builder of `tfds build`, beside the job."""
  ours = build_rlds.convert(
      _config(
          log, tmp_path / 'ours', file_format='array_record',
          frame_encoding='raw',
      )
  ).path
  builder = atari_replay.Builder(
      config='Pong_run_1_raw', data_dir=tmp_path / 'theirs',
      file_format='array_record',
  )
  builder.download_and_prepare(
      download_config=tfds.download.DownloadConfig(
          manual_dir=log, try_download_gcs=False
      )
  )
  records = [
      [
          tf_example.parse(record)
          for path in sorted(pathlib.Path(folder).glob('*.array_record-*'))
          for record in record_files.read(str(path), 'array_record')
      ]
      for folder in (ours, builder.data_path)
  ]
  assert len(records[0]) == 3
  assert records[0] == records[1]


def test_raw_frames_are_small_in_array_record(tmp_path):
  """Episodes compress as a whole there, so raw frames beat PNG."""
  sizes = {}
  for frame_encoding in schema.ENCODINGS:
    summary = build_rlds.convert(
        _config(
            WRAPPED, tmp_path, file_format='array_record',
            frame_encoding=frame_encoding,
        )
    )
    files = pathlib.Path(summary.path).glob('*.array_record-*')
    assert summary.file_bytes == sum(path.stat().st_size for path in files)
    sizes[frame_encoding] = summary.file_bytes / summary.transitions
  assert 2 * sizes['raw'] < sizes['png'] and sizes['raw'] < 60


@pytest.mark.parametrize('file_format', record_files.FILE_FORMATS)
def test_checkpoints_can_be_read_one_after_the_other(tmp_path, file_format):
  """As splits of their own, or as slices of the one split."""
  found = []
  for split_by_checkpoint in (False, True):
    summary = build_rlds.convert(
        _config(
            WRAPPED, tmp_path / str(split_by_checkpoint), checkpoints='all',
            num_shards=5, file_format=file_format,
            split_by_checkpoint=split_by_checkpoint,
        )
    )
    builder = tfds.builder_from_directory(summary.path)
    splits = list(builder.info.splits)
    assert splits == (
        ['checkpoint_00', 'checkpoint_01', 'checkpoint_02']
        if split_by_checkpoint
        else ['train']
    )
    places = builder.info.metadata[finalize.METADATA_KEY]['checkpoints']
    assert list(places) == ['0', '1', '2']

    def read(split, builder=builder):
      if file_format == record_files.TFRECORD:
        episodes = builder.as_dataset(
            split=split, decoders=tfds.decode.PartialDecoding(
                {schema.CHECKPOINT_ID: True, schema.EPISODE_ID: True}
            )
        ).as_numpy_iterator()
      else:
        episodes = builder.as_data_source(split)
      return [
          (int(e[schema.CHECKPOINT_ID]), int(e[schema.EPISODE_ID]))
          for e in episodes
      ]

    by_checkpoint = {
        number: read(place['split']) for number, place in places.items()
    }
    for number, episodes in by_checkpoint.items():
      assert {checkpoint for checkpoint, _ in episodes} == {int(number)}
      assert len(episodes) == places[number]['episodes']
    everything = sum(by_checkpoint.values(), [])
    assert everything == read('+'.join(splits)) == sorted(everything)
    found.append(everything)
  assert found[0] == found[1] and len(found[0]) == 22


def _log_with_duplicates(directory):
  rng = np.random.default_rng(0)
  a, b, c = (replay_logs.random_episode(rng, n) for n in (6, 5, 4))
  replay_logs.write_log(str(directory), [a, b, a, c, b], 60)


def test_short_episodes_may_be_equal(tmp_path):
  """Games begin alike, and episodes may be cut early."""
  log = tmp_path / 'log'
  _log_with_duplicates(log)
  summary = build_rlds.convert(_config(log, tmp_path / 'data', num_shards=3))
  assert (summary.episodes, summary.odd_episodes) == (5, 2)
  metadata = finalize.published_metadata(summary.path)
  assert metadata['cautions'] == {'is_no_duplicate': 2}


def test_duplicates_across_shards_are_rejected(tmp_path, monkeypatch):
  monkeypatch.setattr(validation, 'DUPLICATE_STEPS', 5)
  log = tmp_path / 'log'
  _log_with_duplicates(log)
  with pytest.raises(
      finalize.TooManyRejectedError,
      match='2 of 5 episodes break a rule .* it equals checkpoint 0, episode 0',
  ):
    build_rlds.convert(_config(log, tmp_path / 'data', num_shards=3))
  summary = build_rlds.convert(
      _config(
          log, tmp_path / 'data', num_shards=3, max_rejected_fraction=0.5
      )
  )
  assert (summary.episodes, summary.rejected_episodes) == (3, 2)
  episodes = tfds.builder_from_directory(summary.path).as_dataset(split='train')
  assert [int(e[schema.EPISODE_ID]) for e in episodes] == [0, 1, 3]
  with open(
      os.path.join(summary.path, 'rejects.jsonl'), encoding='utf-8'
  ) as file:
    rejected = [json.loads(line) for line in file]
  assert [line['episode'] for line in rejected] == [2, 4]
  assert all(list(r['reasons']) == ['is_no_duplicate'] for r in rejected)


def test_killed_while_leaving_out_duplicates(tmp_path, monkeypatch):
  """The job goes on where it was, and ends as if nothing had happened."""
  monkeypatch.setattr(validation, 'DUPLICATE_STEPS', 5)
  log = tmp_path / 'log'
  _log_with_duplicates(log)

  def config(name):
    return _config(
        log, tmp_path / name, num_shards=3, max_rejected_fraction=0.5
    )

  undisturbed = build_rlds.convert(config('a')).path
  converted = []
  convert_unit = transforms.convert_unit

  def count(job, unit):
    converted.append(unit.index)
    if len(converted) == 5:  # Three units, then the two with duplicates.
      raise KeyboardInterrupt
    return convert_unit(job, unit)

  with monkeypatch.context() as patch:
    patch.setattr(transforms, 'convert_unit', count)
    with pytest.raises(BaseException):
      build_rlds.convert(config('b'))
    assert converted == [0, 1, 2, 1, 2]
    path = build_rlds.convert(config('b')).path
    assert converted == [0, 1, 2, 1, 2, 2]
  assert {
      file.name: file.read_bytes() for file in pathlib.Path(path).iterdir()
  } == {
      file.name: file.read_bytes()
      for file in pathlib.Path(undisturbed).iterdir()
  }


def test_odd_episodes_are_counted_and_kept(tmp_path):
  rng = np.random.default_rng(0)
  odd = replay_logs.random_episode(rng, 200)
  odd.observations[3] = 0
  odd.observations[10:170] = odd.observations[10]
  log = tmp_path / 'log'
  replay_logs.write_log(
      str(log), [odd, replay_logs.random_episode(rng, 9)], 300
  )
  summary = build_rlds.convert(_config(log, tmp_path / 'data'))
  assert (summary.episodes, summary.odd_episodes) == (2, 1)
  metadata = finalize.published_metadata(summary.path)
  assert metadata['cautions'] == {
      'frames_are_not_black': 1, 'frames_change': 1
  }
  with open(
      os.path.join(summary.path, 'cautions.jsonl'), encoding='utf-8'
  ) as file:
    (line,) = map(json.loads, file)
  assert line['episode'] == 0
  assert line['reasons'] == {
      'frames_are_not_black': (
          '1 of its frames are black: the first is of step 3'
      ),
      'frames_change': (
          'it shows the same frame 160 times in a row from step 10 on'
      ),
  }


def test_actions_are_those_of_the_game(log, tmp_path):
  """Pong has 6 actions, Freeway 3: the log's do not fit there."""
  build_rlds.convert(_config(log, tmp_path / 'data'))
  with pytest.raises(
      finalize.TooManyRejectedError, match='out of range.*expected 0 to 2'
  ):
    build_rlds.convert(_config(log, tmp_path / 'data', game='Freeway'))
  build_rlds.convert(
      _config(log, tmp_path / 'other', game='Freeway', num_actions=6)
  )


def test_unknown_game_needs_the_number_of_actions(log, tmp_path):
  with pytest.raises(ValueError, match='has the game Chess.*--num_actions'):
    build_rlds.convert(_config(log, tmp_path / 'data', game='Chess'))
  build_rlds.convert(
      _config(log, tmp_path / 'data', game='Chess', num_actions=6)
  )


def test_time_limit_that_the_log_calls_terminal(tmp_path):
  rng = np.random.default_rng(0)
  log = tmp_path / 'log'
  replay_logs.write_log(
      str(log), [replay_logs.random_episode(rng, n) for n in (6, 9, 7)], 60
  )
  summary = build_rlds.convert(
      _config(log, tmp_path / 'data', time_limit_steps=(9, 7))
  )
  episodes = tfds.builder_from_directory(summary.path).as_dataset(split='train')
  assert [e[schema.END_KIND].numpy() for e in episodes] == [
      b'terminal', b'truncated', b'truncated'
  ]


def test_other_format_is_another_dataset(log, tmp_path):
  build_rlds.convert(_config(log, tmp_path / 'data'))
  with pytest.raises(
      work_directory.OtherJobError,
      match="file_format was 'tfrecord' and is 'array_record'",
  ):
    build_rlds.convert(
        _config(log, tmp_path / 'data', file_format='array_record')
    )


def test_raw_frames_in_tfrecord_are_warned_of(log, tmp_path, capsys):
  build_rlds.convert(_config(log, tmp_path / 'data', frame_encoding='raw'))
  error = capsys.readouterr().err
  assert 'warning: raw frames in tfrecord take 7 KB a step' in error
  assert f'{log} is a log of Dopamine up to 4.0' in error
