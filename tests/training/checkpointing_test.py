"""Tests of checkpoints: whole or not there, exact, and gone back from."""

import errno
import json
import os
import pathlib
import shutil

from acme import types
import numpy as np
import pytest

import rrl_pipeline  # Before TensorFlow: it chooses the convolutions.
from rrl_pipeline import run_directory
from rrl_pipeline.agents import builder
from rrl_pipeline.agents import config as agent_config
from rrl_pipeline.networks import config as network_config
from rrl_pipeline.training import checkpointing
import tensorflow as tf


def _learner(seed=0, hidden_units=3, channels=(2, 2, 2), num_actions=2):
  return builder.make_learner(
      network_config.NatureConfig(channels=channels, hidden_units=hidden_units),
      agent_config.AgentConfig(target_update_period=2),
      (8, 8, 2),
      'uint8',
      num_actions,
      seed,
  )


def _step(learner, index):
  generator = np.random.default_rng(index)
  observation, next_observation = generator.integers(
      0, 256, (2, 4, 8, 8, 2), np.uint8
  )
  transitions = types.Transition(
      observation,
      np.arange(4, dtype=np.int32) % 2,
      np.ones(4, np.float32),
      np.full(4, 0.9, np.float32),
      next_observation,
      generator.normal(size=(4, 2)).astype(np.float32),
  )
  learner.step(transitions, 1.0, 1e-3 / (index + 1))


def _weights(learner):
  return [
      v.numpy()
      for part in ('network', 'target_network')
      for v in learner.state[part].variables
  ]


def _checkpointer(directory, learner):
  return checkpointing.Checkpointer(directory, learner.state)


def test_a_restored_learner_goes_on_as_if_nothing_had_happened(tmp_path):
  learner = _learner()
  for i in range(3):
    _step(learner, i)
  _checkpointer(tmp_path, learner).save(3, {'actor_steps': 12, 'note': None})
  restored = _learner(seed=9)
  assert _checkpointer(tmp_path, restored).restore() == (
      3, {'actor_steps': 12, 'note': None}, {}
  )
  assert int(restored.num_steps) == 3
  for i in range(3, 6):  # Adam's moments count here, and the target's period.
    for each in (learner, restored):
      _step(each, i)
    for a, b in zip(_weights(learner), _weights(restored), strict=True):
      np.testing.assert_array_equal(a, b)


def test_without_a_checkpoint_nothing_is_restored(tmp_path):
  learner = _learner()
  before = _weights(learner)
  assert _checkpointer(tmp_path / 'none', learner).restore() is None
  for a, b in zip(before, _weights(learner), strict=True):
    np.testing.assert_array_equal(a, b)


class _Counter:
  """A module of two variables, which a test of the files is quick with."""

  def __init__(self, width=3):
    self.steps = tf.Variable(0, dtype=tf.int64, name='steps')
    self.weights = tf.Variable(tf.zeros((2, width)), name='layer/weights')

  @property
  def variables(self):
    return [self.steps, self.weights]


class _Run:
  """Checkpoints of a counter with an array and files beside them."""

  def __init__(self, directory, width=3):
    self.directory = directory
    self.counter = _Counter(width)
    self.checkpointer = checkpointing.Checkpointer(
        directory / 'checkpoints', {'counter': self.counter}
    )

  def save(self, step, num_files=2):
    """Each checkpoint needs the files of the latest steps."""
    self.counter.steps.assign(step)
    self.counter.weights.assign(tf.fill(self.counter.weights.shape, step / 7))
    files = []
    for i in range(max(1, step - num_files + 1), step + 1):
      path = self.directory / 'rows' / f'{i}.npz'
      if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b'rows %d' % i)
      files.append(path)
    self.checkpointer.save(
        step, {'step': step}, {'numbers': np.arange(step)}, files
    )

  def restore(self, **kwargs):
    found = self.checkpointer.restore(**kwargs)
    if found is not None:
      assert found.state == {'step': found.step}
      np.testing.assert_array_equal(
          found.arrays['numbers'], np.arange(found.step)
      )
      assert int(self.counter.steps) == found.step
      assert (self.counter.weights.numpy() == np.float32(found.step / 7)).all()
    return found and found.step

  def folders(self):
    return sorted(os.listdir(self.directory / 'checkpoints'))

  def files(self):
    return sorted(os.listdir(self.directory / 'rows'))


def test_the_newest_two_are_kept_and_the_files_that_they_need(tmp_path):
  run = _Run(tmp_path)
  # Not in the order of their names as text.
  for step in (1, 2, 9, 10, 11):
    run.save(step)
  assert run.folders() == ['10', '11']
  assert run.files() == ['10.npz', '11.npz', '9.npz']
  again = _Run(tmp_path)
  assert again.restore() == 11
  again.save(13)
  assert again.folders() == ['11', '13']
  assert again.files() == ['10.npz', '11.npz', '12.npz', '13.npz']


def test_a_step_may_be_saved_again(tmp_path):
  run = _Run(tmp_path)
  for step in (4, 5, 5):
    run.save(step)
  assert run.folders() == ['4', '5']
  assert _Run(tmp_path).restore() == 5


@pytest.mark.parametrize('place', ['first', 'marker', 'rename'])
def test_an_interrupted_save_does_not_count(tmp_path, monkeypatch, place):
  run = _Run(tmp_path)
  run.save(1)

  def crash(*unused_args, **unused_kwargs):
    raise KeyboardInterrupt

  with monkeypatch.context() as patch:
    if place == 'first':
      patch.setattr(checkpointing.array_file, 'write', crash)
    elif place == 'marker':
      patch.setattr(run_directory, 'write_json', crash)
    else:
      replace = os.replace
      patch.setattr(
          os, 'replace',
          lambda *args: crash() if args[1].name == '2' else replace(*args),
      )
    with pytest.raises(KeyboardInterrupt):
      run.save(2)
  assert run.folders() == ['1', 'incomplete']
  again = _Run(tmp_path)
  assert again.restore() == 1
  again.save(3)
  assert again.folders() == ['1', '3']
  assert _Run(tmp_path).restore() == 3


_FILES = (
    'variables.npz', 'arrays.npz', 'state.json', 'checksums.json',
    '../../rows/3.npz',
)


def _damage(path: pathlib.Path, how: str) -> None:
  data = bytearray(path.read_bytes())
  if how == 'missing':
    path.unlink()
    return
  if how == 'truncated':
    del data[len(data) // 2 :]
  elif how == 'empty':
    data.clear()
  else:
    data[len(data) // 3] ^= 1
  path.write_bytes(data)


@pytest.mark.parametrize('how', ['missing', 'truncated', 'empty', 'flipped'])
@pytest.mark.parametrize('name', _FILES)
def test_a_damaged_checkpoint_is_passed_over_and_said(
    tmp_path, capsys, name, how
):
  run = _Run(tmp_path)
  run.save(2)
  run.save(3)
  folder = tmp_path / 'checkpoints' / '3'
  _damage(folder / name, how)
  again = _Run(tmp_path)
  assert again.restore() == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith(f'warning: damaged checkpoint {folder}: ')
  assert line.endswith('Going on from the one before it, of step 2.')
  if name != 'checksums.json':
    # The one that the user would look for.
    assert f'{name} ' in line
  # The damaged one is neither kept nor counted as one that is.
  (tmp_path / 'rows' / '3.npz').unlink(missing_ok=True)
  again.save(4)
  assert again.folders() == ['2', '4']
  assert again.files() == ['1.npz', '2.npz', '3.npz', '4.npz']
  assert _Run(tmp_path).restore() == 4


@pytest.mark.parametrize('how', ['missing', 'truncated', 'flipped'])
def test_without_a_usable_checkpoint_nothing_begins_anew(tmp_path, how):
  run = _Run(tmp_path)
  run.save(2)
  run.save(3)
  for step in ('2', '3'):
    _damage(tmp_path / 'checkpoints' / step / 'variables.npz', how)
  before = int(run.counter.steps)
  with pytest.raises(
      ValueError, match='No checkpoint can be gone on from: .*/3: variables.npz'
      f'.*/2: variables.npz.*or remove {tmp_path} to start afresh'
  ):
    _Run(tmp_path).restore()
  assert int(run.counter.steps) == before


def test_who_needs_the_newest_does_not_get_another(tmp_path):
  run = _Run(tmp_path)
  run.save(2)
  run.save(3)
  (tmp_path / 'checkpoints' / '3' / 'state.json').unlink()
  with pytest.raises(ValueError, match='from: .*/3: state.json is missing'):
    _Run(tmp_path).restore(may_fall_back=False)


def test_a_checkpoint_may_move_with_its_files(tmp_path):
  (tmp_path / 'a').mkdir()
  run = _Run(tmp_path / 'a')
  run.save(3)
  shutil.move(tmp_path / 'a', tmp_path / 'b')
  assert _Run(tmp_path / 'b').restore() == 3


def test_a_file_that_is_kept_is_read_once(tmp_path, monkeypatch):
  run = _Run(tmp_path)
  run.save(3)
  again = _Run(tmp_path)
  again.restore()
  read = []
  original = checkpointing._checksum

  def spy(path):
    read.append(path.name)
    return original(path)

  monkeypatch.setattr(checkpointing, '_checksum', spy)
  again.save(4, num_files=3)
  assert [name for name in read if name[0].isdigit()] == ['4.npz']


def test_a_failed_save_leaves_the_one_before(tmp_path, monkeypatch):
  run = _Run(tmp_path)
  run.save(1)

  def full(file, *unused_arguments, **unused_options):
    file.write(b'some')
    raise OSError(errno.ENOSPC, 'No space left on device')

  with monkeypatch.context() as patch:
    patch.setattr(np.lib.format, 'write_array', full)
    with pytest.raises(
        OSError, match='checkpoint of step 2 could not be written. That of step'
        ' 1 is as it was. No space left on device'
    ) as raised:
      run.save(2)
  assert raised.value.errno == errno.ENOSPC
  assert raised.value.filename.endswith('checkpoints/incomplete/variables.npz')
  assert run.folders() == ['1']
  assert _Run(tmp_path).restore() == 1


def test_the_space_that_is_needed_is_said_and_must_be_there(
    tmp_path, monkeypatch
):
  run = _Run(tmp_path / 'none', width=500_000)
  assert run.checkpointer.variable_bytes == 8 + 2 * 4 * 500_000
  monkeypatch.setattr(
      shutil, 'disk_usage', lambda path: shutil._ntuple_diskusage(1, 1, 3e9)
  )
  assert run.checkpointer.describe_space('control', 7_100_000_000) == (
      'control: a checkpoint takes 4.0 MB, and the replay up to 7.1 GB before'
      f' compression; 3.0 GB are free in {tmp_path}, which may be too little'
  )
  assert run.checkpointer.describe_space('control', 10**9).endswith(
      f'; 3.0 GB are free in {tmp_path}'
  )
  monkeypatch.setattr(
      shutil, 'disk_usage', lambda path: shutil._ntuple_diskusage(1, 1, 11e6)
  )
  with pytest.raises(
      ValueError, match=f'need 12.0 MB in {tmp_path}, which has 11.0 MB left'
  ):
    run.checkpointer.describe_space('control')


def test_no_code_comes_with_a_checkpoint(tmp_path):
  run = _Run(tmp_path)
  run.save(1)
  folder = tmp_path / 'checkpoints' / '1'
  np.savez(folder / 'arrays.npz', numbers=np.array([print], dtype=object))
  checksums = json.loads((folder / 'checksums.json').read_text())
  checksums['arrays.npz'] = checkpointing._checksum(folder / 'arrays.npz')
  (folder / 'checksums.json').write_text(json.dumps(checksums))
  with pytest.raises(ValueError, match='allow_pickle=False'):
    _Run(tmp_path).restore()


@pytest.mark.parametrize(
    'other',
    [
        {'hidden_units': 4},
        {'channels': (2, 3, 2)},
        {'num_actions': 3},
    ],
)
def test_a_checkpoint_of_another_network_is_refused(tmp_path, other):
  _checkpointer(tmp_path, _learner()).save(1, {})
  with pytest.raises(
      ValueError,
      match=f'{tmp_path}/1 does not fit this agent: in it .* is float32'
      r' \[.*\], and here float32 \[.*Was it written with another network',
  ):
    _checkpointer(tmp_path, _learner(**other)).restore()


def test_every_variable_that_does_not_fit_is_named(tmp_path):
  run = _Run(tmp_path)
  run.save(1)
  other = _Run(tmp_path, width=4)
  with pytest.raises(
      ValueError, match=r'in it counter/layer/weights is float32 \[2, 3\], and'
      r' here float32 \[2, 4\]\. Was'
  ):
    other.checkpointer.restore()
  counter = _Counter()
  fewer = checkpointing.Checkpointer(
      tmp_path / 'checkpoints', {'counter/steps': counter.steps}
  )
  with pytest.raises(
      ValueError, match=r'counter/layer/weights is float32 \[2, 3\], and here'
      ' absent'
  ):
    fewer.restore()
  more = checkpointing.Checkpointer(
      tmp_path / 'checkpoints',
      {'counter': counter, 'moments': tf.Variable([1.0])},
  )
  with pytest.raises(
      ValueError, match=r'in it moments is absent, and here float32 \[1\]'
  ):
    more.restore()
  assert int(counter.steps) == 0  # Nothing is restored in part.


def test_an_optimiser_must_be_in_the_checkpoint(tmp_path):
  learner = _learner()
  state = dict(learner.state)
  del state['optimizer']
  checkpointing.Checkpointer(tmp_path, state).save(1, {})
  with pytest.raises(
      ValueError, match='in it optimizer/.* is absent, and here .* more'
  ):
    _checkpointer(tmp_path, learner).restore()
