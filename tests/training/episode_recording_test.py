"""An agent's episodes, recorded while it trains on a small real game."""

import dataclasses
import shutil

import numpy as np
import pytest

from rrl_pipeline.agents import builder
from rrl_pipeline.agents import methods
from rrl_pipeline.environments import atari
from rrl_pipeline.environments import config as environment_config
from rrl_pipeline.environments import factory
from rrl_pipeline.logs import recorder
from rrl_pipeline.logs import recording
from rrl_pipeline.networks import config as network_config
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import online
from rrl_pipeline.training import online_setup
from rrl_pipeline.training import seeding

_ENVIRONMENT = atari.AtariConfig(frame_size=40, max_episode_steps=20)
_AGENT = dataclasses.replace(
    methods.METHODS['tabula_rasa'].agent, batch_size=4, min_replay_steps=40,
    replay_capacity=200,
)
_ONLINE = config_lib.OnlineConfig(
    num_actor_steps=70, evaluation_period=70, checkpoint_period=40,
    record_episodes=True,
)
_SEED = 5


class Killed(BaseException):
  """Stands for the sudden end of the process."""


def _trainer(directory, config=_ONLINE) -> online.OnlineTrainer:
  learner = builder.make_learner(
      network_config.NatureConfig(channels=(2, 2, 2), hidden_units=8),
      _AGENT, (40, 40, 4), 'uint8', 6, seed=1,
  )
  setup = online_setup.OnlineSetup(
      directory, 'control', _ENVIRONMENT, _AGENT, config, learner, _SEED
  )
  return online.OnlineTrainer(
      setup, config_lib.EvaluationConfig(num_episodes=1, num_parallel=1)
  )


@pytest.fixture(scope='module', name='recorded')
def fixture_recorded(tmp_path_factory):
  directory = tmp_path_factory.mktemp('recorded')
  trainer = _trainer(directory)
  trainer.run()
  return directory, trainer


def test_the_recording_holds_what_was_played(recorded):
  directory, _ = recorded
  log_reader = recording.RecordingReader(
      recording.RecordingConfig(str(directory / 'recording'))
  )
  index = log_reader.index()
  # The fourth episode is cut short by the end of the training.
  assert [span.length for span in index.spans] == [20] * 3
  assert index.metadata['environment'] == (
      environment_config.to_json(_ENVIRONMENT)
  )
  assert index.metadata['action_meanings'][:2] == ['NOOP', 'FIRE']
  assert (index.metadata['agent'], index.metadata['seed']) == ('control', 5)
  environment = factory.make(
      _ENVIRONMENT, seeding.derive(_SEED, 'control', 'environment')
  )
  for stream in log_reader.read(index.spans):
    environment.start_at_episode(stream.span.episode_id)
    observations = [environment.reset().observation]
    for action, reward in zip(stream.actions, stream.rewards, strict=True):
      timestep = environment.step(action)
      observations.append(timestep.observation)
      assert reward == timestep.reward  # Raw, not clipped.
    assert timestep.last()
    np.testing.assert_array_equal(
        np.concatenate(list(stream.frames)), observations
    )


def test_recording_does_not_change_the_training(recorded, tmp_path):
  directory, trainer = recorded
  plain = _trainer(
      tmp_path, dataclasses.replace(_ONLINE, record_episodes=False)
  )
  plain.run()
  assert not (tmp_path / 'recording').exists()
  for name in ('evaluations.jsonl', 'metrics.csv'):
    assert (tmp_path / name).read_text() == (directory / name).read_text()
  found, expected = (
      t._replay.store.rows(t._replay.store.oldest, t._replay.store.num_added)
      for t in (plain, trainer)
  )
  for column, wanted in zip(found, expected):
    np.testing.assert_array_equal(column, wanted)


def test_a_recording_that_lost_episodes_is_not_continued(
    tmp_path, monkeypatch
):
  write = recorder.RecordingWriter.write

  def write_or_die(self, episode):
    write(self, episode)
    if self.num_episodes == 3:
      raise Killed

  with monkeypatch.context() as patch:
    patch.setattr(recorder.RecordingWriter, 'write', write_or_die)
    with pytest.raises(Killed):
      _trainer(tmp_path).run()
  shutil.rmtree(tmp_path / 'recording')
  with pytest.raises(ValueError, match='0 episodes of writer 0, but 2 were'):
    _trainer(tmp_path).run()
