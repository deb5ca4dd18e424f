"""The two kinds of logs that the collect stage writes.

Frames of a game go into a replay log of Dopamine, whose format all the tools
around Atari know. It holds nothing but frames, so everything else goes into a
recording (see `logs.recorder`).
"""

import os
import pathlib
from typing import Any, Mapping, Protocol

import numpy as np

from rrl_pipeline import run_directory
from rrl_pipeline.environments import environment as environment_lib
from rrl_pipeline.environments import recording
from rrl_pipeline.logs import dopamine_writer
from rrl_pipeline.logs import recorder
from rrl_pipeline.logs import recording_files
from rrl_pipeline.training import rollouts

_STATE = 'collect.json'
# Dopamine stores rewards clipped, and so do we.
_REWARD_LIMIT = 1.0
# So that batches of the teacher are full most of the time, where episodes are
# of different lengths.
_EPISODES_PER_PLAYER = 4


class CollectionLog(Protocol):
  """A log that a collection writes, and goes on with when it was interrupted.

  Attributes:
    wave: number of the wave of episodes to play next.
    steps: in the log.
    returns: raw return of each episode in the log.
  """

  wave: int
  steps: int
  returns: list[float]

  def wave_size(self, num_parallel: int) -> int:
    """How many episodes are played between two saves at least."""

  def add(self, episode: rollouts.PlayedEpisode, epsilon: float) -> int:
    """Logs an episode; returns how many of its steps."""

  def save(self) -> None:
    """Ends a wave; from here an interrupted collection may go on."""

  def close(self) -> None:
    """Lets another process write the log."""


class DopamineLog:
  """A checkpoint of Dopamine up to 4.0, saved now and then.

  It ends with the step asked for, most often in the middle of an episode, as
  the logs of an agent do.
  """

  def __init__(
      self,
      directory: str | os.PathLike,
      frame_shape: tuple[int, int],
      stack_size: int,
      num_steps: int,
      checkpoint_period: int,
      metadata: Mapping[str, Any],
  ):
    """Begins a log, or goes on with one.

    Args:
      directory: of the log.
      frame_shape: (H, W).
      stack_size: frames that agents stack.
      num_steps: that the log shall have.
      checkpoint_period: steps between saves at least.
      metadata: about the log, as JSON.
    """
    self._path = pathlib.Path(directory) / _STATE
    self._num_steps = num_steps
    self._checkpoint_period = checkpoint_period
    state = {'checkpoint': -1, 'steps': 0, 'wave': 0, 'returns': []}
    if self._path.exists():
      state = run_directory.read_json(self._path)
      self._writer = dopamine_writer.DopamineLogWriter.restore(
          os.fspath(directory),
          state['checkpoint'],
          stack_size,
          metadata=metadata,
      )
    else:
      self._writer = dopamine_writer.DopamineLogWriter(
          os.fspath(directory),
          frame_shape,
          # Room for the padding between episodes, so that nothing is
          # overwritten unless episodes are shorter than 24 steps.
          capacity=num_steps + num_steps // 8 + 64,
          stack_size=stack_size,
          metadata=metadata,
      )
    self._state = state
    self.wave = state['wave']
    self.steps = state['steps']
    self.returns = state['returns']

  def wave_size(self, num_parallel: int) -> int:
    """See base class."""
    return num_parallel

  def add(self, episode: rollouts.PlayedEpisode, epsilon: float) -> int:
    """See base class."""
    del epsilon  # The metadata say what it is.
    count = min(len(episode.actions), self._num_steps - self.steps)
    _log(self._writer, episode, count)
    self.steps += count
    self.returns.append(float(episode.rewards[:count].sum()))
    return count

  def save(self) -> None:
    """See base class."""
    self.wave += 1
    saved = self._state['steps']
    if self.steps - saved < min(
        self._checkpoint_period, self._num_steps - saved
    ):
      return
    self._state.update(
        checkpoint=self._state['checkpoint'] + 1,
        steps=self.steps,
        wave=self.wave,
    )
    self._writer.save(self._state['checkpoint'])
    run_directory.write_json(self._path, self._state)

  def close(self) -> None:
    """See base class."""


def _log(
    writer: dopamine_writer.DopamineLogWriter,
    episode: rollouts.PlayedEpisode,
    count: int,
) -> None:
  """Writes the first `count` steps of an episode."""
  for t in range(count):
    ends = t + 1 == len(episode.actions)
    writer.add(
        episode.frames[t],
        int(episode.actions[t]),
        float(np.clip(episode.rewards[t], -_REWARD_LIMIT, _REWARD_LIMIT)),
        terminal=ends and episode.terminal,
        truncated=ends and not episode.terminal,
    )


class RecordingLog:
  """A recording of whole episodes with raw rewards.

  It ends with the episode in which the number of steps asked for is reached.
  What else is known of an episode is recorded with it: its number, the seed of
  the environment, the exploration rate and the environment's own facts.
  """

  def __init__(
      self,
      directory: str | os.PathLike,
      interface: environment_lib.Interface,
      seed: int,
      metadata: Mapping[str, Any],
  ):
    """Begins a recording, or goes on with one.

    Args:
      directory: of the recording.
      interface: of the environment.
      seed: of the environment.
      metadata: about the recording, as JSON.

    Raises:
      recorder.BusyError: if another process writes it.
      ValueError: if the directory holds a recording of something else.
    """
    self._path = pathlib.Path(directory) / _STATE
    self._seed = seed
    state = {'episodes': 0, 'steps': 0, 'wave': 0, 'returns': []}
    if self._path.exists():
      state = run_directory.read_json(self._path)
    self.wave = state['wave']
    self.steps = state['steps']
    self.returns = state['returns']
    frame = interface.frame
    self._writer = recorder.RecordingWriter(
        os.fspath(directory),
        recording_files.Description(
            observation=recording_files.Array(
                tuple(frame.shape), frame.dtype.name
            ),
            action=recording_files.Array((), 'int32'),
            reward=recording_files.Array((), 'float32'),
            metadata={
                **metadata, 'action_meanings': list(interface.action_meanings)
            },
            bounds=recording.declared_bounds(frame),
        ),
    )
    # What came after the last save is played once more.
    self._writer.truncate(state['episodes'])

  def wave_size(self, num_parallel: int) -> int:
    """See base class."""
    return num_parallel * _EPISODES_PER_PLAYER

  def add(self, episode: rollouts.PlayedEpisode, epsilon: float) -> int:
    """See base class."""
    count = len(episode.actions)
    discounts = np.ones(count, np.float32)
    discounts[-1] = not episode.terminal
    episode_return = float(episode.rewards.sum())
    self._writer.write(
        recorder.RecordedEpisode(
            episode.frames,
            episode.actions,
            episode.rewards,
            discounts,
            {
                **episode.facts,
                'environment_seed': self._seed,
                'episode': episode.number,
                'epsilon': epsilon,
                'episode_return': episode_return,
            },
        )
    )
    self.steps += count
    self.returns.append(episode_return)
    return count

  def save(self) -> None:
    """See base class."""
    self.wave += 1
    run_directory.write_json(
        self._path,
        {
            'episodes': self._writer.num_episodes,
            'steps': self.steps,
            'wave': self.wave,
            'returns': self.returns,
        },
    )

  def close(self) -> None:
    """See base class."""
    self._writer.close()
