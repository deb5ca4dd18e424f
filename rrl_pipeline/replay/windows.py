"""Transitions as items of a Reverb table that is sampled from.

An item refers to the rows of one n-step transition, and to those before it
whose frames are in its stack. Rows are stored once, however many items refer to
them: frames are not stacked and returns not summed until an item was sampled.
"""

from typing import NamedTuple, Optional, Sequence

from acme import types
import numpy as np
import reverb

from rrl_pipeline.replay import frame_store
from rrl_pipeline.replay import stacks


class Window(NamedTuple):
  """What is kept of a transition of m <= n steps.

  Attributes:
    observation: [k + m, ...] single frames: k <= stack size up to the first
      observation of the transition, fewer at an episode's start, and m after
      it.
    action: int32, the first one.
    reward: float32 [m], as the environment gave them.
    is_terminal: bool, whether the environment ended with the last observation.
    teacher_values: float32 [A], at the first observation.
  """

  observation: np.ndarray
  action: np.ndarray
  reward: np.ndarray
  is_terminal: np.ndarray
  teacher_values: np.ndarray


class WindowWriter:
  """Writes rows of episodes, and an item for each transition they make whole.

  n further rows of an episode make a transition whole, or its end does: those
  of the last n - 1 steps are shorter.
  """

  def __init__(
      self,
      client: reverb.Client,
      table: str,
      stack_size: int,
      n_step: int,
  ):
    """Makes a writer.

    Args:
      client: of the server.
      table: name of the table that gets the items.
      stack_size: frames in a stacked observation.
      n_step: n.
    """
    self._table = table
    self._stack_size = stack_size
    self._n_step = n_step
    self._writer = client.trajectory_writer(
        num_keep_alive_refs=stack_size + n_step
    )
    self._num_rows = 0

  def append(self, row: frame_store.Rows, priority: float = 1.0) -> None:
    """Writes the next row; blocks while the table lets nobody insert.

    Args:
      row: one, without the axis of `frame_store.Rows`.
      priority: of the items that it makes whole.
    """
    self._num_rows = 1 if row.is_first else self._num_rows + 1
    self._writer.append(row)
    if self._num_rows > self._n_step:
      self._create(self._n_step, priority)
    if row.is_last:
      longest = min(self._n_step, self._num_rows) - 1
      for steps in range(longest, 0, -1):
        self._create(steps, priority)
    self._writer.flush()
    if row.is_last:
      self._writer.end_episode()

  def close(self) -> None:
    self._writer.close()

  def _create(self, steps: int, priority: float) -> None:
    """An item of so many steps, up to the row that was written last."""
    history = self._writer.history
    before = min(self._stack_size, self._num_rows - steps)
    self._writer.create_item(
        self._table,
        priority,
        Window(
            observation=history.observation[-(before + steps) :],
            action=history.action[-(steps + 1)],
            reward=history.reward[-(steps + 1) : -1],
            is_terminal=history.is_terminal[-1],
            teacher_values=history.teacher_values[-(steps + 1)],
        ),
    )


def transitions(
    windows: Sequence[Window],
    stack_size: int,
    discount: float,
    reward_limit: Optional[float] = None,
) -> types.Transition:
  """The transitions [B] of windows, as `frame_store.FrameStore.sample` says.

  Args:
    windows: B of them.
    stack_size: frames in a stacked observation.
    discount: γ.
    reward_limit: absolute value to which each reward is clipped before the sum;
      None for not at all.
  """
  lengths = np.array([len(window.reward) for window in windows])
  first, last, rewards = [], [], []
  for window, length in zip(windows, lengths):
    frames = window.observation
    missing = stack_size + length - len(frames)
    # Frames before an episode's first are zero, as in Dopamine's replay.
    padding = np.zeros((max(missing, 0), *frames.shape[1:]), frames.dtype)
    frames = np.concatenate([padding, frames])
    first.append(frames[:stack_size])
    last.append(frames[-stack_size:])
    reward = window.reward
    if reward_limit is not None:
      reward = np.clip(reward, -reward_limit, reward_limit)
    powers = np.array([discount**j for j in range(length)], np.float32)
    rewards.append(np.add.reduce(reward * powers, dtype=np.float32))
  terminal = np.array([window.is_terminal for window in windows])
  return types.Transition(
      observation=stacks.stack(np.stack(first)),
      action=np.array([window.action for window in windows], np.int32),
      reward=np.array(rewards, np.float32),
      discount=np.where(terminal, 0.0, discount**lengths).astype(np.float32),
      next_observation=stacks.stack(np.stack(last)),
      extras=np.stack([window.teacher_values for window in windows]),
  )
