"""Tests of annotating datasets: what a learner's teacher would have said."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow_datasets as tfds

from rrl_pipeline.beam_jobs import annotate_teacher
from rrl_pipeline.beam_jobs import build_rlds
from rrl_pipeline.beam_jobs import derived_units
from rrl_pipeline.beam_jobs import execution
from rrl_pipeline.beam_jobs import finalize
from rrl_pipeline.beam_jobs import source_dataset
from rrl_pipeline.beam_jobs import teacher_inference
from rrl_pipeline.beam_jobs import work_directory
from rrl_pipeline.replay import frame_store
from rrl_pipeline.rlds import loading
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import tfrecord
from rrl_pipeline.teachers import bundle
from rrl_pipeline.testing import datasets
from rrl_pipeline.training import offline_store

ROOT = pathlib.Path(__file__).parents[2]
LOG = ROOT / 'tests' / 'testdata' / 'dopamine' / 'wrapped' / 'checkpoints'
# Episodes of small logs are one batch or two: with and without a remainder.
assert teacher_inference.BATCH_SIZE == 64


@pytest.fixture(name='source', scope='module')
def fixture_source(tmp_path_factory):
  return datasets.build_replay(tmp_path_factory.mktemp('source'))


@pytest.fixture(name='teacher', scope='module')
def fixture_teacher(tmp_path_factory):
  return datasets.export_teacher(tmp_path_factory.mktemp('teacher') / 'tiny')


def _config(source, teacher, data_dir, **changes):
  return annotate_teacher.AnnotateTeacherConfig(
      str(source), str(teacher), str(data_dir), **changes
  )


@pytest.fixture(name='annotated', scope='module')
def fixture_annotated(source, teacher, tmp_path_factory):
  """The dataset of an annotation that nothing disturbed."""
  data_dir = tmp_path_factory.mktemp('annotated')
  return annotate_teacher.annotate(_config(source, teacher, data_dir))


def _store(path):
  dataset = loading.RldsDataset(path)
  store = frame_store.FrameStore(
      dataset.num_steps, dataset.frame_shape, num_actions=6, stack_size=4
  )
  for rows in dataset.episodes(6):
    store.extend(rows)
  return store


def test_values_are_those_of_the_teacher_asked_by_the_learner(
    source, teacher, annotated, tmp_path
):
  asked = _store(source)
  offline_store.annotate(asked, bundle.read(teacher), None, tmp_path)
  stored = _store(annotated.path)
  assert loading.RldsDataset(annotated.path).teacher_sha256 == (
      bundle.read(teacher).sha256
  )
  # The first episode has no true start: its first three stacks are unknown to
  # the learner, and so are their values.
  assert not stored.rows(0, 1).is_padded.any()
  assert not stored.teacher_values[:3].any()
  assert not stored.is_sampleable(np.arange(3), 1).any()
  np.testing.assert_allclose(
      stored.teacher_values[3:], asked.teacher_values[3:], rtol=1e-5, atol=1e-6
  )
  # They tell states apart, so equality says something.
  assert len(np.unique(stored.teacher_values[3:, 0])) > 100
  for batch in range(5):
    a, b = (s.sample(32, 3, 0.99, 0, batch) for s in (asked, stored))
    np.testing.assert_array_equal(a.observation, b.observation)
    np.testing.assert_allclose(a.extras, b.extras, rtol=1e-5, atol=1e-6)


def test_nothing_else_changes(source, annotated):
  before, after = list(datasets.load(source)), list(
      datasets.load(annotated.path)
  )
  assert len(before) == len(after) == annotated.episodes == 6
  for (episode, steps), (new_episode, new_steps) in zip(before, after):
    values = new_steps.pop('teacher_values')
    assert values.shape == (len(steps[schema.ACTION]), 6)
    assert values.dtype == np.float32
    assert episode.keys() == new_episode.keys()
    assert steps.keys() == new_steps.keys()
    for old, new in ((episode, new_episode), (steps, new_steps)):
      for name in old:
        assert old[name].dtype == new[name].dtype
        np.testing.assert_array_equal(old[name], new[name], err_msg=name)


def test_the_dataset_says_whose_values_it_holds(source, teacher, annotated):
  version_dir = pathlib.Path(annotated.path)
  assert version_dir.parts[-3:] == ('atari_replay', 'Pong_run_1', '1.2.0')
  builder = tfds.builder('atari_replay/Pong_run_1:1.2.0',
                         data_dir=version_dir.parents[2])
  info = builder.info
  description = info.metadata['teacher']
  assert description['sha256'] == bundle.read(teacher).sha256
  assert description['kind'] == 'q_values'
  assert description['meaning'].endswith('softmax(values / τ)')
  assert description['action_meanings'] == list(datasets.PONG_ACTIONS)
  conversion = info.metadata[finalize.METADATA_KEY]
  assert conversion['source']['path'] == str(source)
  assert conversion['sources']['dataset'] == 'atari_replay/Pong_run_1'
  assert conversion['totals']['steps'] == annotated.steps
  # The way back to the log is kept.
  log = conversion['source']['conversion']
  assert log == finalize.published_metadata(str(source))
  assert info.release_notes.keys() == {'1.0.0', '1.1.0', '1.2.0'}
  assert info.splits['train'].num_examples == 6
  assert 'agarwal2022' in info.citation


@pytest.mark.parametrize(
    'args',
    [
        ['--runner=BundleBasedDirectRunner'],
        ['--direct_num_workers=2', '--direct_running_mode=multi_processing'],
    ],
)
def test_every_runner_gives_the_same_bytes(
    source, teacher, annotated, tmp_path, monkeypatch, args
):
  monkeypatch.setenv('PYTHONPATH', str(ROOT))
  again = annotate_teacher.annotate(_config(source, teacher, tmp_path), args)
  assert datasets.files(again.path) == datasets.files(annotated.path)


def test_a_division_does_not_change_the_records(
    source, teacher, annotated, tmp_path
):
  config = _config(source, teacher, tmp_path, num_shards=2)
  paths = [annotate_teacher.annotate(config).path, annotated.path]
  one, other = (
      [
          record
          for shard in sorted(pathlib.Path(path).glob('*.tfrecord-*'))
          for record in tfrecord.read(str(shard))
      ]
      for path in paths
  )
  assert len(list(pathlib.Path(paths[0]).glob('*.tfrecord-*'))) == 2
  assert one == other


def test_another_teacher_takes_the_place_of_the_first(
    teacher, annotated, tmp_path
):
  other = datasets.export_teacher(tmp_path / 'other', seed=1)
  path = annotate_teacher.annotate(
      _config(annotated.path, other, tmp_path)
  ).path
  assert path.endswith('1.3.0')
  assert loading.RldsDataset(path).teacher_sha256 == bundle.read(other).sha256
  first, second = (_store(p) for p in (annotated.path, path))
  assert not np.allclose(first.teacher_values, second.teacher_values)
  asked = _store(annotated.path)
  offline_store.annotate(asked, bundle.read(other), None, tmp_path)
  np.testing.assert_allclose(
      second.teacher_values[3:], asked.teacher_values[3:], rtol=1e-5, atol=1e-6
  )


def test_a_second_call_returns_at_once(
    source, teacher, annotated, monkeypatch
):
  data_dir = pathlib.Path(annotated.path).parents[2]
  monkeypatch.setattr(source_dataset.SourceDataset, 'episodes', None)
  config = _config(source, teacher, data_dir)
  assert annotate_teacher.annotate(config) == annotated


def test_values_of_another_teacher_are_not_overwritten(
    source, annotated, tmp_path
):
  other = datasets.export_teacher(tmp_path / 'other', seed=1)
  data_dir = pathlib.Path(annotated.path).parents[2]
  with pytest.raises(
      work_directory.OtherJobError,
      match='1.2.0 was made with other options: teacher was',
  ):
    annotate_teacher.annotate(_config(source, other, data_dir))


def test_the_source_is_not_overwritten(source, teacher):
  config = _config(source, teacher, source.parents[2], version='1.1.0')
  with pytest.raises(ValueError, match='is the source itself: choose another'):
    annotate_teacher.annotate(config)


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'game': 'Breakout'}, 'plays Breakout; .* is a dataset of Pong'),
        ({'frame_size': 40}, r'frames of \(40, 40\), those of .* \(84, 84\)'),
        (
            {'action_meanings': ('NOOP', 'FIRE')},
            'has the action 5, the teacher .* only 0 to 1',
        ),
    ],
)
def test_a_teacher_that_does_not_fit_is_refused(
    source, tmp_path, changes, message
):
  teacher = datasets.export_teacher(tmp_path / 'other', **changes)
  with pytest.raises(ValueError, match=message):
    annotate_teacher.annotate(_config(source, teacher, tmp_path))


def _damage(source, tmp_path, change):
  copy = shutil.copytree(source, tmp_path / 'copy')
  shard = sorted(copy.glob('*.tfrecord-*'))[1]
  change(shard)
  return copy, shard


def _flip(path):
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 1
  path.write_bytes(data)


def _spoil_frame(path):
  """A frame that is no PNG in a record whose checksum is right."""
  (record, *others) = tfrecord.read(str(path))
  example = teacher_inference.tf_example.parse(record)
  example.features.feature['steps/observation'].bytes_list.value[3] = b'PNG'
  with open(path, 'wb') as file:
    for data in (example.SerializeToString(), *others):
      tfrecord.write(file, data)


@pytest.mark.parametrize(
    'change, message',
    [
        (_flip, '{shard}: the checksum of a record is wrong; copy or build'),
        (pathlib.Path.unlink, 'incomplete: {shard.name} is missing'),
        (_spoil_frame, '{shard.name}: a frame cannot be decoded'),
        (lambda path: path.write_bytes(b''), 'holds 0 episodes; .* says 1'),
    ],
)
def test_a_damaged_source_is_named(source, teacher, tmp_path, change, message):
  copy, shard = _damage(source, tmp_path, change)
  with pytest.raises(
      source_dataset.SourceError, match=message.format(shard=shard)
  ):
    annotate_teacher.annotate(_config(copy, teacher, tmp_path))
  assert not (tmp_path / 'atari_replay' / 'Pong_run_1' / '1.2.0').exists()


def test_a_shard_that_loses_a_step_is_not_published(
    source, teacher, tmp_path, monkeypatch
):
  annotate = teacher_inference.annotate

  def lose(record, values):
    example = teacher_inference.tf_example.parse(annotate(record, values))
    del example.features.feature['steps/reward'].float_list.value[0]
    return example.SerializeToString()

  monkeypatch.setattr(teacher_inference, 'annotate', lose)
  with pytest.raises(
      finalize.ReconciliationError,
      match='record 0 of .* is not what its source gives: steps/reward changed',
  ):
    annotate_teacher.annotate(_config(source, teacher, tmp_path))
  assert not (tmp_path / 'atari_replay' / 'Pong_run_1' / '1.2.0').exists()


def test_a_failed_job_goes_on(
    source, teacher, annotated, tmp_path, monkeypatch
):
  write_unit = derived_units.write_unit

  def fail_late(job, unit, *args):
    if unit.index == 1:
      raise OSError('gone')
    return write_unit(job, unit, *args)

  config = _config(source, teacher, tmp_path)
  with monkeypatch.context() as patch:
    patch.setattr(derived_units, 'write_unit', fail_late)
    with pytest.raises(execution.BeamJobError, match='gone'):
      annotate_teacher.annotate(config)
  path = annotate_teacher.annotate(config).path
  assert datasets.files(path) == datasets.files(annotated.path)


def test_two_at_once_are_refused(source, teacher, tmp_path):
  version_dir = tmp_path / 'atari_replay' / 'Pong_run_1' / '1.2.0'
  work = work_directory.WorkDirectory.beside(str(version_dir))
  with work.locked():
    with pytest.raises(work_directory.BusyError, match='is in use by process'):
      annotate_teacher.annotate(_config(source, teacher, tmp_path))


def _flags(source, teacher, data_dir):
  return [f'--dataset={source}', f'--teacher={teacher}',
          f'--data_dir={data_dir}']


def test_a_killed_job_goes_on(tmp_path, monkeypatch):
  """With a real log, and the teacher that comes with this package."""
  monkeypatch.setenv('PYTHONPATH', str(ROOT))
  source = build_rlds.convert(
      build_rlds.BuildRldsConfig(str(LOG), str(tmp_path), num_shards=6)
  ).path
  undisturbed = annotate_teacher.annotate(
      _config(source, 'pong_dqn', tmp_path / 'undisturbed')
  )
  command = [
      sys.executable, str(ROOT / 'beam_jobs' / 'annotate_teacher.py'),
      *_flags(source, 'pong_dqn', tmp_path),
  ]
  process = subprocess.Popen(
      command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
  )
  version_dir = tmp_path / 'atari_replay' / 'Pong_run_1' / '1.2.0'
  work = work_directory.WorkDirectory.beside(str(version_dir))
  manifests = pathlib.Path(work.manifest(0)).parent
  while process.poll() is None and not list(manifests.glob('unit-*.json')):
    time.sleep(0.001)
  process.send_signal(signal.SIGKILL)
  assert process.wait() == -signal.SIGKILL
  finished = len(list(manifests.glob('unit-*.json')))
  assert 1 <= finished < 6
  assert not version_dir.exists()

  written = []
  write_unit = derived_units.write_unit

  def count(job, unit, *args):
    written.append(unit.index)
    return write_unit(job, unit, *args)

  monkeypatch.setattr(derived_units, 'write_unit', count)
  summary = annotate_teacher.annotate(_config(source, 'pong_dqn', tmp_path))
  assert len(written) == 6 - finished
  assert datasets.files(summary.path) == datasets.files(undisturbed.path)
  assert sorted(os.listdir(version_dir.parent)) == ['1.1.0', '1.2.0']
  # A trained teacher prefers something nearly everywhere.
  values = np.concatenate(
      [steps['teacher_values'] for _, steps in datasets.load(summary.path)]
  )
  assert np.median(np.ptp(values, axis=1)) > 0.01


def test_the_program_says_what_it_will_take_and_what_it_made(
    source, teacher, tmp_path, capsys
):
  assert annotate_teacher.main(_flags(source, teacher, tmp_path)) == 0
  output = capsys.readouterr()
  assert 'Pong_run_1/1.2.0: 6 episodes, 151 transitions, 154' in output.out
  assert '3 of 3 shards to write: 154 steps from 0.1 MB' in output.err


def test_an_error_is_one_line(source, teacher, tmp_path, capsys):
  flags = _flags(tmp_path / 'nowhere', teacher, tmp_path)
  assert annotate_teacher.main(flags) == 1
  assert capsys.readouterr().err.startswith(
      f'error: {tmp_path / "nowhere"} holds no RLDS dataset: expected a TFDS'
  )
  flags = _flags(source, 'pong_dqm', tmp_path)
  assert annotate_teacher.main(flags) == 1
  assert "error: There is no teacher 'pong_dqm'" in capsys.readouterr().err


def test_a_slip_of_the_pen_is_pointed_out(source, teacher, tmp_path, capsys):
  with pytest.raises(SystemExit):
    annotate_teacher.main(
        [*_flags(source, teacher, tmp_path), '--versions=2.0.0']
    )
  assert 'did you mean --version?' in capsys.readouterr().err
