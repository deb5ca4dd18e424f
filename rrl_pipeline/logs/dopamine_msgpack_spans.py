"""Cuts the elements of a buffer of Dopamine 4.1 and later into episodes.

The buffer holds transitions (s_t, a_t, r_t, s_{t+1}) of stacked frames that an
accumulator made of the steps (`dopamine/jax/replay_memory/accumulator.py`). Of
an episode of T steps it emits those of t = 0 … T - 2; those of the last step
would need the observation that follows on it. So the last action and the last
reward of every episode are in no element, the last observation o_{T-1} is.

* When the last step is terminal, the element of t = T - 2 is emitted with
  `is_terminal`, and then again and again, each time with one more of its oldest
  frames blacked out, until each stack has lost all but its newest.
* When a time limit cut the episode, nothing marks its end. The next element is
  the first one of another episode: it does not start with the state that the
  last one ended with, and has only its newest frame.
"""

from typing import Optional, Sequence

import numpy as np

from rrl_pipeline import types
from rrl_pipeline.logs import dopamine_msgpack_files as files
from rrl_pipeline.logs import reader


class SpanBuilder:
  """Takes elements in order and cuts them into episodes and repetitions.

  Attributes:
    spans: the episodes that are closed; `length` is that of their actions,
      which is one less than that of their observations.
    repetitions: elements that hold a transition once more.
    terminal_ends: episodes that a terminal state ended.
    stack_shape: shape of a stack of frames; None before the first element.
  """

  def __init__(self, time_limit_steps: Sequence[int]):
    self.spans = []
    self.repetitions = 0
    self.terminal_ends = 0
    self.stack_shape = None
    self._time_limit_steps = time_limit_steps
    self._episode_counts = {}
    self._last: Optional[files.Element] = None

  def add(
      self, element: files.Element, checkpoint: int, first_slot: int
  ) -> None:
    """Goes on with the next element.

    Args:
      element: one more than the last one, unless `interrupt` was called.
      checkpoint: number of the checkpoint that holds it.
      first_slot: its place there.

    Raises:
      reader.LogError: if it cannot come after the last one.
    """
    last = self._last
    if last is not None and last.is_terminal:
      if self._is_repetition(element):
        self.repetitions += 1
        return
      self._close_terminal()
    elif last is not None:
      if element.state == last.next_state or np.array_equal(
          element.state_frames(), last.next_frames()
      ):
        self._length += 1
        self._set_last(element)
        return
      self._close(types.EpisodeEnd.TRUNCATED)
    # The first element of all, or after a gap, may be of the middle.
    may_be_headless = last is None and element.add > 0
    frames = element.state_frames()
    self._check_shape(element, frames)
    starts = not frames[..., :-1].any() and not (
        # A single frame may be all that is left of a repeated stack, and a
        # stack of one frame never shows how an episode begins.
        may_be_headless and (element.is_terminal or frames.shape[-1] == 1)
    )
    if not starts and not may_be_headless:
      raise reader.LogError(
          f'{element.path}: element {element.add} neither goes on where the '
          'one before it ended nor starts an episode: the file is damaged, or '
          'its transitions span several steps (update_horizon above 1)'
      )
    self._complete = starts
    self._length = 1
    self._checkpoint = checkpoint
    self._first_slot = first_slot
    self._first_add = element.add
    self._set_last(element)

  def interrupt(self) -> None:
    """Closes the episode that the elements so far end in, if any."""
    if self._last is None:
      return
    if self._last.is_terminal:
      self._close_terminal(may_be_cut=True)
    else:
      self._close(types.EpisodeEnd.LOG_END)
    self._last = None

  def _set_last(self, element: files.Element) -> None:
    self._last = element
    self._repeated = 0
    stack_size = self.stack_shape[-1]
    # How many frames an episode of this length has to stack.
    held = min(stack_size, self._length)
    self._blackened = stack_size - held if self._complete else 0

  def _check_shape(self, element: files.Element, frames: np.ndarray) -> None:
    if self.stack_shape is None:
      self.stack_shape = frames.shape
    if frames.shape != self.stack_shape:
      raise reader.LogError(
          f'{element.path}: element {element.add} has stacks of '
          f'{frames.shape}; the ones before have {self.stack_shape}'
      )

  def _is_repetition(self, element: files.Element) -> bool:
    """Whether an element repeats the last one, a terminal one."""
    last = self._last
    if not element.is_terminal or (element.action, element.reward) != (
        last.action, last.reward
    ):
      return False
    state, next_state = element.state_frames(), element.next_frames()
    for count in range(self._blackened + 1, self.stack_shape[-1]):
      if np.array_equal(
          state, _blacken(last.state_frames(), count)
      ) and np.array_equal(
          next_state, _blacken(last.next_frames(), count - 1)
      ):
        self._blackened = count
        self._repeated += 1
        return True
    return False

  def _close_terminal(self, may_be_cut: bool = False) -> None:
    expected = min(self.stack_shape[-1], self._length) - 1
    if self._complete and self._repeated != expected and not may_be_cut:
      raise reader.LogError(
          f'{self._last.path}: the terminal element {self._last.add} comes '
          f'{self._repeated} more times; expected {expected}: the file is '
          'damaged, or its transitions span several steps (update_horizon '
          'above 1)'
      )
    self.terminal_ends += 1
    # The last step is not in the log, so the episode was one longer.
    if self._complete and self._length + 1 in self._time_limit_steps:
      self._close(types.EpisodeEnd.TRUNCATED)
    else:
      self._close(types.EpisodeEnd.LOG_END)

  def _close(self, end: types.EpisodeEnd) -> None:
    number = self._checkpoint
    self._episode_counts.setdefault(number, 0)
    self.spans.append(
        reader.EpisodeSpan(
            checkpoint_id=number,
            episode_id=self._episode_counts[number],
            first_add=self._first_add,
            length=self._length,
            padding=0,
            end=end,
            complete_start=self._complete,
            source=files.name_of(number),
            first_slot=self._first_slot,
            has_final_observation=True,
        )
    )
    self._episode_counts[number] += 1


def _blacken(frames: np.ndarray, count: int) -> np.ndarray:
  """A stack without its oldest `count` frames."""
  blackened = frames.copy()
  blackened[..., :count] = 0
  return blackened
