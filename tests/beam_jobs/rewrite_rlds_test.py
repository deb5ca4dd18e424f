"""Tests of rewriting datasets: the same episodes, fewer, stored otherwise."""

import itertools
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds

from rrl_pipeline.beam_jobs import annotate_teacher
from rrl_pipeline.beam_jobs import build_rlds
from rrl_pipeline.beam_jobs import derived_units
from rrl_pipeline.beam_jobs import episode_choice
from rrl_pipeline.beam_jobs import execution
from rrl_pipeline.beam_jobs import finalize
from rrl_pipeline.beam_jobs import rewrite_job
from rrl_pipeline.beam_jobs import rewrite_rlds
from rrl_pipeline.beam_jobs import source_dataset
from rrl_pipeline.beam_jobs import work_directory
from rrl_pipeline.rlds import loading
from rrl_pipeline.rlds import record_files
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import tf_example
from rrl_pipeline.testing import datasets

ROOT = pathlib.Path(__file__).parents[2]
LOG = ROOT / 'tests' / 'testdata' / 'dopamine' / 'wrapped' / 'checkpoints'


@pytest.fixture(name='source', scope='module')
def fixture_source(tmp_path_factory):
  return datasets.build_replay(tmp_path_factory.mktemp('source'))


def _rewrite(source, data_dir, args=(), **options):
  choice = {
      name: options.pop(name)
      for name in episode_choice.EpisodeChoice.__dataclass_fields__
      if name in options
  }
  return rewrite_job.rewrite(
      rewrite_job.RewriteRldsConfig(
          str(source),
          str(data_dir),
          choice=episode_choice.EpisodeChoice(**choice),
          **options,
      ),
      args,
  )


def _assert_same(first, second):
  first, second = list(first), list(second)
  assert len(first) == len(second)
  for parts in zip(first, second):
    for old, new in zip(*parts):
      assert old.keys() == new.keys()
      for name, value in old.items():
        assert value.dtype.kind == new[name].dtype.kind, name
        np.testing.assert_array_equal(value, new[name], err_msg=name)


@pytest.mark.parametrize(
    'encoding, file_format',
    list(itertools.product(schema.ENCODINGS, record_files.FILE_FORMATS)),
)
def test_every_way_to_store_holds_the_same(
    source, tmp_path, encoding, file_format
):
  summary = _rewrite(
      source, tmp_path, frame_encoding=encoding, file_format=file_format
  )
  path = pathlib.Path(summary.path)
  config = 'Pong_run_1' + ('_raw' if encoding == 'raw' else '')
  assert path.parts[-3:] == ('atari_replay', config, '1.1.1')
  assert all(f'.{file_format}-' in p.name for p in path.glob('*-of-*'))
  _assert_same(datasets.load(source), datasets.load(path))
  features = tfds.builder_from_directory(path).info.features
  assert str(features) == str(schema.atari_features(encoding))


def _records(path):
  builder = tfds.builder_from_directory(path)
  return [
      record
      for split in builder.info.splits.values()
      for shard in split.filepaths
      for record in record_files.read(
          os.fspath(shard), builder.info.file_format.value
      )
  ]


def test_there_and_back_gives_the_same_records(source, tmp_path):
  raw = _rewrite(
      source, tmp_path, frame_encoding='raw', file_format='array_record'
  ).path
  back = _rewrite(
      raw, tmp_path, frame_encoding='png', file_format='tfrecord', num_shards=3
  ).path
  assert back.endswith('Pong_run_1/1.1.2')
  assert _records(back) == _records(source)


def test_a_dataset_of_other_options_is_not_overwritten(source, tmp_path):
  summary = _rewrite(source, tmp_path, num_shards=2)
  assert _rewrite(source, tmp_path, num_shards=2) == summary
  for changes, message in (
      ({'num_shards': 1}, 'num_shards was 2 and is 1'),
      ({'file_format': 'array_record'}, "file_format was 'tfrecord' and is"),
  ):
    with pytest.raises(work_directory.OtherJobError, match=message):
      _rewrite(source, tmp_path, **{'num_shards': 2} | changes)


@pytest.mark.parametrize('num_shards', [1, 2, 6])
def test_shards_are_divided_anew(source, tmp_path, num_shards):
  path = _rewrite(source, tmp_path, num_shards=num_shards).path
  assert len(list(pathlib.Path(path).glob('*.tfrecord-*'))) == num_shards
  assert _records(path) == _records(source)


@pytest.fixture(name='pong', scope='module')
def fixture_pong(tmp_path_factory):
  """A dataset of a real log with three checkpoints."""
  config = build_rlds.BuildRldsConfig(
      str(LOG),
      str(tmp_path_factory.mktemp('pong')),
      checkpoints='all',
      num_shards=4,
  )
  return build_rlds.convert(config).path


def _number(record, name, kind):
  feature = tf_example.parse(record).features.feature[name]
  return getattr(feature, kind).value[0]


def _return_of(record):
  return _number(record, schema.EPISODE_RETURN, 'float_list')


def _checkpoint_of(record):
  return _number(record, schema.CHECKPOINT_ID, 'int64_list')


@pytest.mark.parametrize(
    'options, keeps',
    [
        ({'min_return': -19.5}, lambda r: _return_of(r) >= -19.5),
        ({'max_return': -20.0}, lambda r: _return_of(r) <= -20),
        ({'checkpoints': '0,2'}, lambda r: _checkpoint_of(r) in (0, 2)),
        (
            {'checkpoints': '1-2', 'max_return': -20.0},
            lambda r: _checkpoint_of(r) >= 1 and _return_of(r) <= -20,
        ),
    ],
)
def test_conditions(pong, tmp_path, options, keeps):
  path = _rewrite(pong, tmp_path, **options).path
  assert path.endswith('Pong_run_1/2.0.0')
  before = _records(pong)
  expected = list(filter(keeps, before))
  assert 0 < len(expected) < len(before)
  assert _records(path) == expected
  conversion = finalize.published_metadata(path)
  assert conversion['left_out_episodes'] == len(before) - len(expected)
  name, value = next(iter(options.items()))
  assert conversion['options']['choice'][name] == value
  assert conversion['source']['path'] == pong
  info = tfds.builder_from_directory(path).info
  assert f'{name}={value}' in info.release_notes['2.0.0']
  for checkpoint, place in conversion['checkpoints'].items():
    count = sum(_checkpoint_of(r) == int(checkpoint) for r in expected)
    assert info.splits[place['split']].num_examples == count > 0


def test_ends(source, tmp_path):
  path = _rewrite(source, tmp_path, end_kinds='truncated,log_end').path
  expected = [
      parts
      for parts in datasets.load(source)
      if parts[0][schema.END_KIND] != b'terminal'
  ]
  assert len(expected) == 3
  _assert_same(expected, datasets.load(path))


def test_annotations_stay(source, tmp_path):
  teacher = datasets.export_teacher(tmp_path / 'teacher')
  annotated = annotate_teacher.annotate(
      annotate_teacher.AnnotateTeacherConfig(
          str(source), str(teacher), str(tmp_path)
      )
  ).path
  path = _rewrite(
      annotated, tmp_path, frame_encoding='raw', file_format='array_record'
  ).path
  _assert_same(datasets.load(annotated), datasets.load(path))
  copy = _rewrite(annotated, tmp_path, end_kinds='terminal').path
  assert loading.RldsDataset(copy).teacher_sha256 == (
      loading.RldsDataset(annotated).teacher_sha256
  )


def test_a_raw_dataset_is_annotated_as_well(source, tmp_path):
  teacher = datasets.export_teacher(tmp_path / 'teacher')
  raw = _rewrite(
      source, tmp_path, frame_encoding='raw', file_format='array_record'
  ).path
  values = []
  for path in (source, raw):
    config = annotate_teacher.AnnotateTeacherConfig(
        str(path), str(teacher), str(tmp_path)
    )
    annotated = annotate_teacher.annotate(config).path
    values.append(
        [steps['teacher_values'] for _, steps in datasets.load(annotated)]
    )
  for png, unpacked in zip(*values, strict=True):
    np.testing.assert_array_equal(png, unpacked)


def test_a_failed_job_goes_on(source, tmp_path, monkeypatch):
  write_unit = derived_units.write_unit

  def fail_late(job, unit, *args):
    if unit.index == 1:
      raise OSError('gone')
    return write_unit(job, unit, *args)

  options = {'frame_encoding': 'raw', 'num_shards': 3}
  with monkeypatch.context() as patch:
    patch.setattr(derived_units, 'write_unit', fail_late)
    with pytest.raises(execution.BeamJobError, match='gone'):
      _rewrite(source, tmp_path / 'a', **options)
  with pytest.raises(
      work_directory.OtherJobError, match='num_shards was 3 and is 2'
  ):
    _rewrite(source, tmp_path / 'a', **options | {'num_shards': 2})
  first = _rewrite(source, tmp_path / 'a', **options).path
  second = _rewrite(
      source, tmp_path / 'b', ['--runner=BundleBasedDirectRunner'], **options
  ).path
  assert datasets.files(first) == datasets.files(second)
  assert os.listdir(pathlib.Path(first).parent) == ['1.1.1']


def test_a_record_that_is_lost_is_noticed(source, tmp_path, monkeypatch):
  read_unit = derived_units.read_unit
  calls = []

  def lose(job, unit):
    calls.append(unit)
    # Reading again, to compare, finds all.
    return itertools.islice(read_unit(job, unit), len(calls) == 1, None)

  monkeypatch.setattr(derived_units, 'read_unit', lose)
  with pytest.raises(
      finalize.ReconciliationError, match='is not what its source gives'
  ):
    _rewrite(source, tmp_path, num_shards=1)


def test_splits_stay(tmp_path):
  source = datasets.build_replay(tmp_path)
  episodes = list(datasets.load(source))
  path = tfds.dataset_builders.store_as_tfds_dataset(
      name='atari_replay', version='1.1.0', data_dir=tmp_path / 'splits',
      features=schema.atari_features(), disable_shuffling=True,
      split_datasets={
          name: [
              (i, {**episode, schema.STEPS: steps})
              for i, (episode, steps) in enumerate(part)
          ]
          for name, part in (
              ('checkpoint_00', episodes[:2]), ('checkpoint_01', episodes[2:])
          )
      },
  ).data_path
  rewritten = _rewrite(path, tmp_path, num_shards=3).path
  assert rewritten == str(tmp_path / 'atari_replay' / '1.1.1')
  splits = tfds.builder_from_directory(rewritten).info.splits
  assert {name: s.num_examples for name, s in splits.items()} == {
      'checkpoint_00': 2, 'checkpoint_01': 4
  }
  for split in splits:
    _assert_same(
        datasets.load(path, split), datasets.load(rewritten, split)
    )


@pytest.mark.parametrize(
    'options, message',
    [
        ({'min_return': 99.0}, 'none of the 6 episodes meets the conditions'),
        ({'max_steps': 1}, r'max_steps is 1, but the first .* has \d+ steps'),
        ({'num_shards': 7}, r'num_shards is 7; .* at most 6 \(the episodes\)'),
        ({'dialect': 'rlds'}, 'has the schema of this package; expected'),
        ({'file_format': 'parquet'}, "'parquet'.* loses records"),
        ({'frame_encoding': 'jpeg'}, "'jpeg'; expected 'png' or 'raw'"),
        ({'dialect': 'rlu'}, "dialect is 'rlu'; expected one of auto, native"),
        ({'fraction': 0.0}, 'fraction is 0.0; expected more than 0'),
        ({'end_kinds': 'won'}, r"end_kinds has \['won'\]; expected all, or"),
        ({'max_steps': 0}, 'max_steps is 0; expected at least 1'),
        ({'version': 'new'}, 'Invalid version'),
        ({'checkpoints': 'a'}, "checkpoints must be 'all' or numbers"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    source, tmp_path, options, message
):
  with pytest.raises(ValueError, match=message):
    _rewrite(source, tmp_path, **options)
  # Nothing is left that would stand in the way of other options.
  assert not list(tmp_path.rglob('.work-*'))
  assert not list(tmp_path.rglob('*.tfrecord-*'))


def test_workers_do_not_load_tensorflow(source, tmp_path):
  program = f'''
import sys
from rrl_pipeline.beam_jobs import derived_units
from rrl_pipeline.beam_jobs import record_rewrite
from rrl_pipeline.beam_jobs import work_directory
from rrl_pipeline.rlds import observations
job = derived_units.DerivedJob(
    {str(source)!r}, 'tfrecord', 'array_record', {str(tmp_path)!r})
work_directory.WorkDirectory({str(tmp_path)!r}).begin({{}}, {{}})
unit = derived_units.DerivedUnit(
    0, 'train', 'shard',
    (derived_units.Part('atari_replay-train.tfrecord-00000-of-00003', (1,)),),
    40, 1, 'fingerprint')
change = record_rewrite.RecordRewrite(
    'native', 'd', 'c',
    observations.ObservationFormat((84, 84), 'png'), 'raw', None)
print(list(derived_units.DeriveUnits(job, change).process(unit)))
heavy = {{'tensorflow', 'reverb', 'rlds', 'acme', 'jax'}} & set(sys.modules)
assert not heavy, heavy
'''
  result = subprocess.run(
      [sys.executable, '-c', program], cwd=ROOT,
      capture_output=True, text=True, check=False,
  )
  assert result.stdout.strip() == '[(0, 1)]', result.stderr


def test_the_program_takes_its_flags(source, tmp_path, capsys):
  flags = [f'--dataset={source}', f'--data_dir={tmp_path}']
  assert rewrite_rlds.main(
      [*flags, '--fraction=0.5', '--seed=3', '--frame_encoding=raw',
       '--file_format=array_record', '--version=4.0.0']
  ) == 0
  output = capsys.readouterr()
  assert 'Pong_run_1_raw/4.0.0: 3 episodes' in output.out
  assert '1 of 1 shards to write' in output.err
  assert rewrite_rlds.main([*flags, '--min_return=99']) == 1
  assert capsys.readouterr().err == (
      'error: none of the 6 episodes meets the conditions\n'
  )


def test_a_dataset_of_frames_that_cannot_be_read_is_refused(tmp_path):
  features = schema.atari_features()
  step = dict(features[schema.STEPS].feature)
  step[schema.OBSERVATION] = tfds.features.Image(shape=(84, 84, 3))
  path = datasets.build_one_step(tmp_path, step)
  with pytest.raises(
      source_dataset.SourceError, match='expected single grey frames'
  ):
    _rewrite(path, tmp_path)
