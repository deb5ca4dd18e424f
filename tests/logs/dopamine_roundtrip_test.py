"""Writes random logs and reads them back, against a model of the ring buffer.

The model is a plain list of everything that was ever logged. What a ring of a
given capacity still holds is a slice of it.
"""

import dataclasses
import itertools
import os
import pathlib
import tempfile
from typing import Optional

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest

from rrl_pipeline import types
from rrl_pipeline.logs import dopamine
from rrl_pipeline.logs import dopamine_writer


@pytest.fixture(scope='module', autouse=True)
def fixture_no_fsync():
  """Waiting for the disk, hundreds of times, would take long."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(os, 'fsync', lambda _: None)
    yield


@dataclasses.dataclass(frozen=True)
class Entry:
  """An entry of the log; padding if it has no step."""

  episode: int
  step: Optional[int] = None
  end: Optional[types.EpisodeEnd] = None

  def frame(self):
    # Never zero, and other than its neighbours'.
    return np.full((2, 3), 1 + (7 * self.episode + self.step) % 255, np.uint8)

  def action(self):
    return (self.episode + self.step) % 5

  def reward(self):
    return float((self.episode + 2 * self.step) % 3 - 1)


@dataclasses.dataclass(frozen=True)
class Expected:
  """An episode that a reader should find."""

  checkpoint: int
  first_add: int
  steps: list[Entry]
  end: types.EpisodeEnd
  complete_start: bool


@st.composite
def logs(draw):
  """Entries, the ring's shape, and after how many entries it was saved."""
  stack_size = draw(st.integers(1, 5))
  update_horizon = draw(st.integers(1, 3))
  lengths = draw(st.lists(st.integers(1, 12), min_size=1, max_size=8))
  ends = draw(
      st.lists(
          st.sampled_from(
              [types.EpisodeEnd.TERMINAL, types.EpisodeEnd.TRUNCATED]
          ),
          min_size=len(lengths),
          max_size=len(lengths),
      )
  )
  entries = []
  for episode, (length, end) in enumerate(zip(lengths, ends)):
    entries += [Entry(episode)] * (stack_size - 1)
    entries += [
        Entry(episode, step, end if step == length - 1 else None)
        for step in range(length)
    ]
  # The log may be saved only after a step, and may stop within an episode.
  after_steps = [i + 1 for i, e in enumerate(entries) if e.step is not None]
  saves = sorted(
      draw(st.sets(st.sampled_from(after_steps), min_size=1, max_size=3))
  )
  capacity = draw(st.integers(stack_size + update_horizon, 60))
  return entries[: saves[-1]], stack_size, update_horizon, capacity, saves


def expected_episodes(entries, capacity, saves):
  """What the saved rings hold, from the list alone."""
  holder = {}
  for number, saved in reversed(list(enumerate(saves))):
    for add in range(max(0, saved - capacity), saved):
      holder[add] = number  # The first of them counts.
  steps = [add for add in sorted(holder) if entries[add].step is not None]
  # Each step's neighbour in the log is the step before or a lost entry.
  groups = []
  for add in steps:
    if groups and (
        groups[-1][-1] == add - 1
        and entries[add].episode == entries[add - 1].episode
    ):
      groups[-1].append(add)
    else:
      groups.append([add])
  return [
      Expected(
          checkpoint=holder[group[0]],
          first_add=group[0],
          steps=[entries[add] for add in group],
          end=entries[group[-1]].end or types.EpisodeEnd.LOG_END,
          # The start is known if the entry before it is held, or none is.
          complete_start=(
              entries[group[0]].step == 0
              and (group[0] == 0 or group[0] - 1 in holder)
          ),
      )
      for group in groups
  ]


def recognise_time_limits(expected, limits):
  """Of a log that marks no end as a time limit, what its lengths tell."""
  if any(episode.end is types.EpisodeEnd.TRUNCATED for episode in expected):
    return expected
  return [
      dataclasses.replace(episode, end=types.EpisodeEnd.TRUNCATED)
      if episode.end is types.EpisodeEnd.TERMINAL
      and episode.complete_start
      and len(episode.steps) in limits
      else episode
      for episode in expected
  ]


@hypothesis.settings(max_examples=150)
@hypothesis.given(logs(), st.booleans(), st.sets(st.integers(1, 12)))
def test_reader_finds_what_the_ring_holds(log, is_old, limits):
  entries, stack_size, update_horizon, capacity, saves = log
  if is_old:  # Old agents stored every end as terminal and marked no others.
    entries = [
        dataclasses.replace(entry, end=types.EpisodeEnd.TERMINAL)
        if entry.end
        else entry
        for entry in entries
    ]
  with tempfile.TemporaryDirectory() as directory:
    writer = dopamine_writer.DopamineLogWriter(
        directory, (2, 3), capacity, stack_size, update_horizon
    )
    for entry in entries:
      if entry.step is not None:
        writer.add(
            entry.frame(),
            entry.action(),
            entry.reward(),
            terminal=entry.end is types.EpisodeEnd.TERMINAL,
            truncated=entry.end is types.EpisodeEnd.TRUNCATED,
        )
        if writer.add_count in saves:
          writer.save(saves.index(writer.add_count))
    assert writer.add_count == len(entries)
    if is_old:
      for path in pathlib.Path(directory).glob('episode_end_indices_*'):
        os.remove(path)
    log_reader = dopamine.DopamineReader(
        dopamine.DopamineLogConfig(
            directory, 'all', stack_size, tuple(limits)
        )
    )
    index = log_reader.index()
    assert index.ends_marked == (not is_old)
    expected = recognise_time_limits(
        expected_episodes(entries, capacity, saves), limits
    )
    assert len(index.spans) == len(expected)
    for stream, episode in itertools.zip_longest(
        log_reader.read(index.spans), expected
    ):
      span = stream.span
      found = stream.load()
      assert span.checkpoint_id == episode.checkpoint
      assert span.first_add == episode.first_add
      assert span.source == (
          f'$store$_observation_ckpt.{episode.checkpoint}.gz'
      )
      assert span.first_slot == episode.first_add % capacity
      assert span.end is episode.end
      assert span.complete_start == episode.complete_start
      np.testing.assert_array_equal(
          found.observations, [step.frame() for step in episode.steps]
      )
      assert found.actions.tolist() == [s.action() for s in episode.steps]
      assert found.rewards.tolist() == [s.reward() for s in episode.steps]


@hypothesis.settings(max_examples=50)
@hypothesis.given(logs())
def test_every_entry_is_accounted_for(log):
  entries, stack_size, update_horizon, capacity, saves = log
  with tempfile.TemporaryDirectory() as directory:
    writer = dopamine_writer.DopamineLogWriter(
        directory, (2, 3), capacity, stack_size, update_horizon
    )
    for entry in entries:
      if entry.step is not None:
        writer.add(
            entry.frame(), entry.action(), entry.reward(),
            terminal=entry.end is types.EpisodeEnd.TERMINAL,
            truncated=entry.end is types.EpisodeEnd.TRUNCATED,
        )
    writer.save(0)
    index = dopamine.DopamineReader(
        dopamine.DopamineLogConfig(directory, 'latest', stack_size)
    ).index()
  held = entries[max(0, len(entries) - capacity) :]
  assert index.accounting.adds == len(entries)
  assert index.accounting.left_out == len(entries) - len(held)
  assert index.accounting.transitions == sum(e.step is not None for e in held)
  assert index.accounting.padding == sum(e.step is None for e in held)
