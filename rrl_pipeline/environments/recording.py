"""Records what happens in an environment, whoever acts in it.

Either wrap the environment, and nothing else changes, or give an observer to
the environment loop of Acme. Both record complete episodes from any `dm_env`
whose observations and actions are single arrays.
"""

from typing import Any, Callable, Mapping, Optional

import dm_env
from dm_env import specs
import numpy as np

from rrl_pipeline.logs import bounds as bounds_lib
from rrl_pipeline.logs import recorder
from rrl_pipeline.logs import recording_files

EpisodeMetadata = Callable[[dm_env.Environment], Mapping[str, Any]]


def describe(
    environment: dm_env.Environment, metadata: Mapping[str, Any]
) -> recording_files.Description:
  """Says what a recording of this environment holds.

  Args:
    environment: to be recorded.
    metadata: about it and about who acts in it, as JSON: for an Atari game its
      name, its preprocessing and the meanings of its actions.

  Raises:
    ValueError: if observations, actions or rewards are not single arrays of
      numbers.
  """
  arrays = {}
  for name in ('observation', 'action', 'reward'):
    spec = getattr(environment, f'{name}_spec')()
    if not isinstance(spec, specs.Array):
      raise ValueError(
          f'the {name}s of this environment are {type(spec).__name__}; only '
          'single arrays can be recorded: flatten them with a wrapper'
      )
    arrays[name] = recording_files.Array(
        tuple(spec.shape), str(np.dtype(spec.dtype))
    )
  return recording_files.Description(
      **arrays,
      metadata=metadata,
      bounds=declared_bounds(environment.observation_spec()),
  )


def declared_bounds(observation: specs.Array) -> Optional[bounds_lib.Bounds]:
  """The range that a spec declares; None if it is that of its dtype."""
  if not isinstance(observation, specs.BoundedArray):
    return None
  return bounds_lib.declared(
      observation.minimum,
      observation.maximum,
      observation.shape,
      observation.dtype,
  )


class RecordingEnvironment(dm_env.Environment):
  """The environment it is given, and a record of it.

  An episode that is given up by `reset` before its end is not recorded. What
  else the environment offers, such as `action_meanings`, is passed on.
  """

  def __init__(
      self,
      environment: dm_env.Environment,
      writer: recorder.RecordingWriter,
      episode_metadata: Optional[EpisodeMetadata] = None,
  ):
    """Wraps an environment.

    Args:
      environment: to be recorded.
      writer: of the recording.
      episode_metadata: says of an environment, in the last step of an episode,
        what else is to be recorded of that episode, as JSON.
    """
    self._environment = environment
    self._observer = RecordingObserver(writer, episode_metadata)

  def __getattr__(self, name: str) -> Any:
    if name == '_environment':  # While it is being copied, not yet there.
      raise AttributeError(name)
    return getattr(self._environment, name)

  def reset(self) -> dm_env.TimeStep:
    timestep = self._environment.reset()
    self._observer.observe_first(self._environment, timestep)
    return timestep

  def step(self, action: Any) -> dm_env.TimeStep:
    timestep = self._environment.step(action)
    if timestep.first():  # The episode had ended, and the action is ignored.
      self._observer.observe_first(self._environment, timestep)
    else:
      self._observer.observe(self._environment, timestep, action)
    return timestep

  def observation_spec(self) -> Any:
    return self._environment.observation_spec()

  def action_spec(self) -> Any:
    return self._environment.action_spec()

  def reward_spec(self) -> Any:
    return self._environment.reward_spec()

  def discount_spec(self) -> Any:
    return self._environment.discount_spec()

  def close(self) -> None:
    self._environment.close()


class RecordingObserver:
  """Records what it observes: an `EnvLoopObserver` of Acme.

  Acme has that interface, and a loop that takes observers, only in versions
  later than the 0.2.4 that runs beside this project, so it is met and not
  inherited here.
  """

  def __init__(
      self,
      writer: recorder.RecordingWriter,
      episode_metadata: Optional[EpisodeMetadata] = None,
  ):
    self._recorder = recorder.EpisodeRecorder(writer)
    self._episode_metadata = episode_metadata

  def observe_first(
      self, env: dm_env.Environment, timestep: dm_env.TimeStep
  ) -> None:
    """Begins an episode."""
    del env
    self._recorder.begin(timestep.observation)

  def observe(
      self,
      env: dm_env.Environment,
      timestep: dm_env.TimeStep,
      action: np.ndarray,
  ) -> None:
    """Adds the step that led to `timestep`."""
    metadata = {}
    if timestep.last() and self._episode_metadata is not None:
      metadata = self._episode_metadata(env)
    self._recorder.add(
        action,
        timestep.reward,
        timestep.discount,
        timestep.observation,
        timestep.last(),
        metadata,
    )

  def get_metrics(self) -> dict[str, int]:
    """The number of episodes recorded, for Acme's logger."""
    return {'recorded_episodes': self._recorder.num_episodes}
