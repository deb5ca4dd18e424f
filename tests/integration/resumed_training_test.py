"""Online training that ends anywhere, and is gone on from what is on disk.

One learner serves all tests, set back to its beginning: to trace its update
anew would take most of the time.
"""

import dataclasses
import errno
import itertools
import os
import shutil
import signal
import time

import numpy as np
import pytest

import rrl_pipeline  # Before TensorFlow: it chooses the convolutions.
from rrl_pipeline import stopping
from rrl_pipeline.agents import builder
from rrl_pipeline.agents import learning
from rrl_pipeline.agents import methods
from rrl_pipeline.environments import atari
from rrl_pipeline.launch import user_errors
from rrl_pipeline.networks import config as network_config
from rrl_pipeline.testing import interruptions
from rrl_pipeline.training import actor
from rrl_pipeline.training import checkpointing
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import evaluation
from rrl_pipeline.training import learner_role
from rrl_pipeline.training import metric_log
from rrl_pipeline.training import online
from rrl_pipeline.training import online_setup
from rrl_pipeline.training import row_log
from rrl_pipeline.training import weight_snapshots

_ENVIRONMENT = atari.AtariConfig(frame_size=40, max_episode_steps=30)
_AGENT = dataclasses.replace(
    methods.METHODS['tabula_rasa'].agent,
    batch_size=4,
    min_replay_steps=20,
    replay_capacity=60,  # The ring wraps twice.
    target_update_period=5,
    prioritized_replay=True,
)
_ONLINE = config_lib.OnlineConfig(
    num_actor_steps=150, evaluation_period=50, checkpoint_period=30,
    log_period=3,
)
_EVALUATION = config_lib.EvaluationConfig(num_episodes=1, num_parallel=1)


class _Beginning:
  """A learner, and its variables as they are when the stage begins."""

  def __init__(self):
    self._learner = builder.make_learner(
        network_config.NatureConfig(channels=(2, 2, 2), hidden_units=8),
        _AGENT, (40, 40, 4), 'uint8', 6, seed=1,
    )
    self._variables = checkpointing._named_variables(self._learner.state)
    self._values = self.values()

  def values(self) -> dict[str, np.ndarray]:
    return {name: v.numpy() for name, v in self._variables.items()}

  def trainer(self, directory) -> online.OnlineTrainer:
    for name, variable in self._variables.items():
      variable.assign(self._values[name])
    return online.OnlineTrainer(self.setup(directory), _EVALUATION)

  def setup(self, directory) -> online_setup.OnlineSetup:
    return online_setup.OnlineSetup(
        directory, 'control', _ENVIRONMENT, _AGENT, _ONLINE, self._learner,
        seed=2,
    )

  def end(self, directory, trainer) -> dict[str, object]:
    store = trainer._replay.store
    return {
        **self.values(),
        **store.rows(store.oldest, store.num_added)._asdict(),
        **trainer._replay._sampler.state(),
        'evaluations': (directory / 'evaluations.jsonl').read_text(),
        'metrics': (directory / 'metrics.csv').read_text(),
        'episodes': trainer.counts()['episodes'],
    }


@pytest.fixture(scope='module', name='beginning')
def fixture_beginning():
  return _Beginning()


@pytest.fixture(scope='module', name='undisturbed')
def fixture_undisturbed(beginning, tmp_path_factory):
  """The directory of a whole run, and its end state."""
  directory = tmp_path_factory.mktemp('undisturbed')
  trainer = beginning.trainer(directory)
  trainer.run()
  return directory, beginning.end(directory, trainer)


def _finish(beginning, directory, expected):
  trainer = beginning.trainer(directory)
  trainer.run()
  interruptions.assert_same(expected, beginning.end(directory, trainer))


_ANYWHERE = (
    (actor.Actor, 'step'),
    (learning.Learner, 'update'),
    (evaluation.EvaluationLog, 'append'),
    (metric_log.MetricLog, 'write'),
    (row_log.RowLog, 'save'),
    (os, 'fsync'),
    (os, 'replace'),
    (shutil, 'rmtree'),
)


@pytest.mark.parametrize('seed', range(3))
def test_a_run_may_end_anywhere(
    beginning, undisturbed, tmp_path, monkeypatch, seed
):
  generator = np.random.default_rng(seed)
  reached = []
  num_killed = 0
  for _ in range(4):
    trainer = beginning.trainer(tmp_path)
    reached.append(trainer.actor_steps)
    with monkeypatch.context() as patch:
      # The clock of the machine goes back, by years, at each look.
      years = itertools.count(50, -1)
      patch.setattr(time, 'time', lambda: 3e7 * next(years))
      interruptions.kill_at_any(patch, _ANYWHERE, generator.integers(1, 200))
      try:
        trainer.run()
        break  # It was nearly done.
      except interruptions.Killed:
        num_killed += 1
  assert num_killed >= 2 and reached == sorted(reached)
  _finish(beginning, tmp_path, undisturbed[1])


def test_what_happens_to_an_episode_in_flight_is_said(
    beginning, tmp_path, monkeypatch, capsys
):
  with monkeypatch.context() as patch:
    interruptions.kill_at(patch, actor.Actor, 'step', 20, 'after')
    with pytest.raises(interruptions.Killed):
      beginning.trainer(tmp_path).run()
  said = capsys.readouterr().err
  assert 'control: a checkpoint takes 17.3 kB, and the replay up to' in said
  # Of each row 40 x 40 pixels, 6 values, an action, a reward and 4 flags.
  assert f'up to {60 * (1600 + 4 * 8 + 4) / 1e3:.1f} kB before' in said
  with monkeypatch.context() as patch:
    interruptions.kill_at(patch, actor.Actor, 'step', 50, 'after')
    with pytest.raises(interruptions.Killed):
      beginning.trainer(tmp_path).run()
  capsys.readouterr()
  beginning.trainer(tmp_path)
  assert capsys.readouterr().err == (
      'control: goes on from step 30; what was played after it, an episode in'
      ' flight included, is discarded\n'
  )


def test_an_evaluation_does_not_hold_back_the_end(
    beginning, undisturbed, tmp_path, monkeypatch, capsys
):
  evaluate = evaluation.evaluate

  def signalled(*arguments):
    os.kill(os.getpid(), signal.SIGTERM)
    return evaluate(*arguments)

  with monkeypatch.context() as patch:
    patch.setattr(online, 'STOP_SECONDS', -1.0)
    patch.setattr(evaluation, 'evaluate', signalled)
    trainer = beginning.trainer(tmp_path)
    with pytest.raises(stopping.Stopped):
      trainer.run()
  assert trainer.actor_steps == 50 and not trainer.evaluations.records
  assert 'discarded; the newest checkpoint is that of step 30\n' in (
      capsys.readouterr().err
  )
  _finish(beginning, tmp_path, undisturbed[1])


def _newest_segment(directory):
  return max(
      (directory / 'rows').iterdir(), key=lambda p: int(p.stem.split('-')[1])
  )


@pytest.mark.parametrize('part', ['variables', 'rows', 'whole'])
def test_a_run_goes_back_to_the_checkpoint_before_a_damaged_one(
    beginning, undisturbed, tmp_path, capsys, part
):
  shutil.copytree(undisturbed[0], tmp_path, dirs_exist_ok=True)
  newest = tmp_path / 'checkpoints' / '150'
  if part == 'whole':
    shutil.rmtree(newest)
  else:
    damaged = newest / 'variables.npz'
    if part == 'rows':
      damaged = _newest_segment(tmp_path)
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 64
    damaged.write_bytes(data)
  trainer = beginning.trainer(tmp_path)
  said = capsys.readouterr().err
  assert trainer.actor_steps == 120
  assert 'control: goes on from step 120;' in said
  if part != 'whole':
    assert f'warning: damaged checkpoint {newest}: ' in said
    assert damaged.name in said and 'before it, of step 120.' in said
  # Later records are gone, and come again.
  assert trainer.evaluations.evaluations()[-1][0].actor_steps == 100
  _finish(beginning, tmp_path, undisturbed[1])


def test_evaluations_that_several_processes_left_open_are_made(
    beginning, undisturbed, tmp_path
):
  directory, expected = undisturbed
  shutil.copytree(directory, tmp_path, dirs_exist_ok=True)
  # As if the last evaluation were still waiting for an evaluator.
  log = evaluation.EvaluationLog(tmp_path)
  records = log.records
  log.truncate_after(10**6, 149)
  assert len(log.records) == len(records) - 1
  trainer = beginning.trainer(tmp_path)
  network = [v.numpy() for v in trainer._network.variables]
  weight_snapshots.WeightSnapshots(tmp_path / 'snapshots').save(
      weight_snapshots.Snapshot(150, records[-1].learner_steps, network)
  )
  for variable in trainer._network.variables:
    variable.assign(variable * 0)
  trainer.run()
  assert trainer.evaluations.records == records
  for variable in trainer._network.variables:
    assert not variable.numpy().any()  # They are as they were.
  assert not list((tmp_path / 'snapshots').iterdir())


def test_a_learner_among_processes_goes_on_from_what_one_process_left(
    beginning, undisturbed, tmp_path
):
  directory, expected = undisturbed
  shutil.copytree(directory, tmp_path, dirs_exist_ok=True)
  beginning.trainer(tmp_path / 'other')  # Has weights of its own again.
  role = learner_role.LearnerRole(beginning.setup(tmp_path))
  assert role.actor_steps == 150 and not len(role._snapshots)
  for name, value in beginning.values().items():
    np.testing.assert_array_equal(value, expected[name])
  store = role._learner.replay.store
  for name, value in store.rows(store.oldest, 155)._asdict().items():
    np.testing.assert_array_equal(value, expected[name])


def test_a_full_disk_leaves_the_last_checkpoint(
    beginning, undisturbed, small_disk, monkeypatch, capsys
):
  directory = small_disk / 'agent'
  ballast = small_disk / 'ballast'
  save = checkpointing.Checkpointer.save

  def save_and_fill(checkpointer, step, *arguments):
    save(checkpointer, step, *arguments)
    with open(ballast, 'wb', buffering=0) as file:
      try:
        while True:
          file.write(bytes(4096))
      except OSError as error:
        assert error.errno == errno.ENOSPC
      # The next checkpoint does not fit, for the replay takes some of it.
      variables = directory / 'checkpoints' / str(step) / 'variables.npz'
      room = variables.stat().st_size // 4096 * 4096
      file.truncate(file.tell() - room)

  with monkeypatch.context() as patch:
    patch.setattr(checkpointing.Checkpointer, 'save', save_and_fill)
    trainer = beginning.trainer(directory)
    capsys.readouterr()
    code = user_errors.run(lambda: trainer.run() or 0)
  assert code == 2
  (line,) = [
      line for line in capsys.readouterr().err.splitlines() if 'error' in line
  ]
  assert line.startswith(
      'error: The checkpoint of step 60 could not be written. That of step 30'
      f' is as it was. No space left on device: {directory}'
  )
  assert line.endswith('run the same command again to go on')
  assert os.listdir(directory / 'checkpoints') == ['30']
  ballast.unlink()
  assert beginning.trainer(directory).actor_steps == 30
  _finish(beginning, directory, undisturbed[1])
