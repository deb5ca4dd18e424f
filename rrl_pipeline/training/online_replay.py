"""The replay of the online stage: what it holds, and how batches are drawn."""

import math
import os
import pathlib
from typing import Mapping, NamedTuple, Optional

from acme import types
from dm_env import specs
import numpy as np

from rrl_pipeline.agents import config as agent_config_lib
from rrl_pipeline.environments import config as environment_config_lib
from rrl_pipeline.environments import environment as environment_lib
from rrl_pipeline.environments import factory
from rrl_pipeline.replay import frame_store
from rrl_pipeline.replay import mixture
from rrl_pipeline.replay import prioritized
from rrl_pipeline.training import row_log
from rrl_pipeline.training import teacher_data as teacher_data_lib

# What Dopamine's Rainbow gives a transition without any error: √1e-10.
_LEAST_PRIORITY = 1e-5
# Smaller frames take little memory, and are copied sooner than decompressed.
_MIN_COMPRESSED_BYTES = 1_024


class Draw(NamedTuple):
  """A batch for one update.

  Attributes:
    transitions: [B].
    importance_weights: float32 [B]; None where all weigh the same.
    numbers: int64 [B], the rows whose priorities the update gives anew; None
      where there are no priorities.
  """

  transitions: types.Transition
  importance_weights: Optional[np.ndarray] = None
  numbers: Optional[np.ndarray] = None


class OnlineReplay:
  """The latest steps of an agent, on disk as of its latest checkpoint.

  Batches are drawn from them uniformly, by priorities, or together with the
  teacher's data, as the agent's configuration says.

  Attributes:
    store: the steps.
    num_initial: rows of the teacher's data that the replay began with.
    max_bytes: of its rows, once it is full, before compression.
  """

  def __init__(
      self,
      directory: str | os.PathLike,
      environment_config: environment_config_lib.EnvironmentConfig,
      agent_config: agent_config_lib.AgentConfig,
      num_actor_steps: int,
      seed: int,
      data: teacher_data_lib.TeacherData = teacher_data_lib.TeacherData(),
  ):
    """Makes an empty replay; `restore` fills it.

    Args:
      directory: where the steps are kept for a resumed run.
      environment_config: how frames are stacked and rewards clipped.
      agent_config: how batches are drawn.
      num_actor_steps: steps that will come at most.
      seed: of the batches.
      data: of the teacher.

    Raises:
      ValueError: if the configuration asks for data that is not given.
    """
    directory = pathlib.Path(directory)
    interface = factory.interface(environment_config)
    self._config = agent_config
    self._seed = seed
    self._newest = None
    self.num_initial = 0
    if agent_config.switch.replay == 'logs':
      self._newest = _given(data.newest, 'switch.replay is logs')
      self.num_initial = self._newest.num_rows
    # An episode's end is a row of its own, and every step can be one.
    self._capacity = min(
        agent_config.replay_capacity, self.num_initial + 2 * num_actor_steps
    )
    self.max_bytes = self._capacity * _row_bytes(interface)
    self.store = frame_store.FrameStore(
        self._capacity,
        interface.frame.shape,
        interface.num_actions,
        environment_config.stack_size,
        interface.frame.dtype,
        environment_config.reward_limit,
        compress=_is_worth_compressing(interface.frame),
    )
    self._source = self.store
    ratio = agent_config.rehearsal.ratio
    if ratio:
      self._source = mixture.Mixture(
          [self.store, _given(data.source, f'rehearsal.ratio is {ratio}')],
          [1 - ratio, ratio],
          agent_config.rehearsal.exact,
      )
    self._sampler = None
    if agent_config.prioritized_replay:
      self._sampler = prioritized.PrioritizedSampler(
          self.store, agent_config.n_step
      )
    self._row_log = row_log.RowLog(directory / 'rows', self.num_initial)

  def draw(self, index: int) -> Draw:
    """Batch `index`: it depends on that, the seed and the replay only."""
    config = self._config
    if self._sampler is not None:
      batch = self._sampler.sample(
          config.batch_size, config.discount, self._seed, index
      )
      return Draw(batch.transitions, batch.importance_weights, batch.numbers)
    return Draw(
        self._source.sample(
            config.batch_size, config.n_step, config.discount, self._seed, index
        )
    )

  def update_priorities(self, draw: Draw, priorities: np.ndarray) -> None:
    """Takes what the update on a draw gave, if there are priorities at all."""
    if draw.numbers is not None:
      self._sampler.update_priorities(
          draw.numbers, np.maximum(priorities, np.float32(_LEAST_PRIORITY))
      )

  def save(self) -> tuple[list[pathlib.Path], dict[str, np.ndarray]]:
    """Makes the rows durable, for the checkpoint that comes next.

    Returns:
      The files that it needs, and the arrays that it must hold.
    """
    arrays = {} if self._sampler is None else self._sampler.state()
    return self._row_log.save(self.store), arrays

  def restore(
      self,
      num_added: Optional[int] = None,
      arrays: Optional[Mapping[str, np.ndarray]] = None,
  ) -> None:
    """Fills the replay with what it held when `num_added` rows had come.

    Args:
      num_added: None for as it was when the stage began.
      arrays: that a checkpoint held for it.

    Raises:
      ValueError: if the copy on disk does not go with that number.
    """
    begins = num_added is None
    if num_added is None:
      num_added = self.num_initial
    if num_added - self._capacity < self.num_initial:
      self._fill()
    self._row_log.restore(self.store, num_added)
    if self._sampler is not None and not begins:
      self._sampler.restore(arrays)

  def _fill(self) -> None:
    """Adds the teacher's newest episodes."""
    for rows in self._newest.read() if self._newest else ():
      for start in range(0, len(rows.action), self._capacity):
        self.store.extend(
            frame_store.Rows(
                *(column[start : start + self._capacity] for column in rows)
            )
        )


def _row_bytes(interface: environment_lib.Interface) -> int:
  """Of a frame and of what belongs to it, see `frame_store.Rows`."""
  frame = interface.frame
  frame_bytes = frame.dtype.itemsize * math.prod(frame.shape)
  # Action, reward and the teacher's values are four bytes each.
  num_flags = 4
  return frame_bytes + num_flags + 4 * (2 + interface.num_actions)


def _is_worth_compressing(frame: specs.Array) -> bool:
  """Whether it is an image; other numbers hardly become fewer bytes."""
  num_bytes = frame.dtype.itemsize * math.prod(frame.shape)
  return frame.dtype == np.uint8 and num_bytes >= _MIN_COMPRESSED_BYTES


def _given(value, reason: str):
  if value is None:
    raise ValueError(
        f"The agent's {reason}, but there is no data of a teacher; give a"
        ' dataset, or leave that setting out.'
    )
  return value
