"""Logs random runs lap by lap and reads them back, against a plain list.

The list holds everything that was ever logged. Every file is a slice of it: the
last `capacity` entries at the time when it was saved.
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

from rrl_pipeline import types
from rrl_pipeline.logs import dopamine
from rrl_pipeline.logs import dqn_replay
from rrl_pipeline.logs import reader
from rrl_pipeline.testing import lap_logger


@dataclasses.dataclass(frozen=True)
class Entry:
  """An entry of the log; padding if it has no step."""

  episode: int
  step: Optional[int] = None
  is_last: bool = False

  def frame(self):
    return np.full((2, 3), 1 + (7 * self.episode + self.step) % 255, np.uint8)

  def action(self):
    return 1 + 100 * self.episode + self.step  # Unlike that of any other step.

  def reward(self):
    return float((self.episode + 2 * self.step) % 3 - 1)


@dataclasses.dataclass(frozen=True)
class Run:
  """A logged run.

  Attributes:
    entries: all that was logged.
    saved: for each file, how many entries there were.
    has_final: whether the last file is that of the end of the run.
  """

  entries: list[Entry]
  stack_size: int
  capacity: int
  saved: list[int]
  has_final: bool


@st.composite
def runs(draw):
  """Episodes, a ring, and where the run stops."""
  stack_size = draw(st.integers(1, 5))
  capacity = draw(st.integers(stack_size + 2, 40))
  lengths = draw(st.lists(st.integers(1, 30), min_size=1, max_size=12))
  entries = []
  for episode, length in enumerate(lengths):
    entries += [Entry(episode)] * (stack_size - 1)
    entries += [Entry(episode, t, t == length - 1) for t in range(length)]
  # The run may stop in the middle of its last episode.
  stop = len(entries) - draw(st.integers(0, lengths[-1] - 1))
  entries = entries[:stop]
  saved = [
      count
      for count in range(1, stop + 1)
      if count % capacity == capacity - 1
      and entries[count - 1].step is not None
  ]
  has_final = draw(st.booleans()) or not saved
  return Run(
      entries, stack_size, capacity, saved + [stop] * has_final, has_final
  )


def write(run, directory):
  """Has the logger log a run."""
  logger = lap_logger.LapLogger(
      directory, (2, 3), run.capacity, run.stack_size, len(run.entries)
  )
  for entry in run.entries:
    if entry.step is not None:
      logger.add(entry.frame(), entry.action(), entry.reward(), entry.is_last)
  if run.has_final:
    logger.save_final()
  assert logger.add_count == len(run.entries)
  assert logger.num_files == len(run.saved)


def expected_groups(run, numbers):
  """The steps that the files hold, by file and episode: [(file, [adds])]."""
  holder = {}
  for number in reversed(numbers):
    end = run.saved[number]
    for add in range(max(0, end - run.capacity), end):
      holder[add] = number  # The first of them counts.
  groups = []
  for add in sorted(holder):
    if run.entries[add].step is None:
      continue
    if groups and (
        groups[-1][1][-1] == add - 1
        and run.entries[add].episode == run.entries[add - 1].episode
    ):
      groups[-1][1].append(add)
    else:
      groups.append((holder[add], [add]))
  return groups, holder


def check(run, log_reader, numbers):
  """Compares what is read with the list."""
  groups, holder = expected_groups(run, numbers)
  index = log_reader.index()
  for stream, (number, adds) in itertools.zip_longest(
      log_reader.read(index.spans), groups
  ):
    entries = [run.entries[add] for add in adds]
    span = stream.span
    assert span.checkpoint_id == number
    assert span.first_add == adds[0]
    assert span.source == f'$store$_observation_ckpt.{number}.gz'
    assert span.first_slot == adds[0] % run.capacity
    assert span.end is (
        types.EpisodeEnd.TERMINAL
        if entries[-1].is_last
        else types.EpisodeEnd.LOG_END
    )
    assert span.complete_start == (
        entries[0].step == 0 and (adds[0] == 0 or adds[0] - 1 in holder)
    )
    episode = stream.load()
    np.testing.assert_array_equal(
        episode.observations, [entry.frame() for entry in entries]
    )
    assert episode.actions.tolist() == [entry.action() for entry in entries]
    assert episode.rewards.tolist() == [entry.reward() for entry in entries]
  end = run.saved[numbers[-1]]
  held = [run.entries[add] for add in holder]
  assert index.accounting == reader.Accounting(
      adds=end,
      transitions=sum(entry.step is not None for entry in held),
      padding=sum(entry.step is None for entry in held),
      left_out=end - len(held),
  )


def open_log(run, directory, checkpoints):
  return dqn_replay.DqnReplayReader(
      dopamine.DopamineLogConfig(directory, checkpoints, run.stack_size, ())
  )


def final_can_be_placed(run, present):
  """Whether the last file is where its reader has to suppose that it is."""
  last = len(run.saved) - 1
  if not run.has_final or last not in present:
    return True
  numbers = [-1, *(number for number in present if number < last)]
  count = run.saved[numbers[-1]] if len(numbers) > 1 else -1
  added = run.saved[last] - count
  if added < run.capacity:
    return True  # It still holds the end of the lap before.
  if last == 0:
    return False
  # At least a lap for each missing file. Without any, the logger must have
  # passed over one, at least.
  missing = last - numbers[-1] - 1
  laps = missing if added % run.capacity == 0 else max(1, missing)
  return added // run.capacity == laps


@hypothesis.settings(max_examples=120)
@hypothesis.given(runs())
def test_laps_are_stitched(run):
  with tempfile.TemporaryDirectory() as directory:
    write(run, directory)
    log_reader = open_log(run, directory, 'all')
    numbers = list(range(len(run.saved)))
    if final_can_be_placed(run, numbers):
      check(run, log_reader, numbers)
    # Nothing in a single file tells whether a first lap was passed over.
    elif len(numbers) > 1:
      assert any('does not follow' in w for w in log_reader.index().warnings)


@hypothesis.settings(max_examples=120)
@hypothesis.given(runs(), st.data())
def test_files_may_be_missing_or_chosen(run, data):
  numbers = list(range(len(run.saved)))
  present = sorted(data.draw(st.sets(st.sampled_from(numbers), min_size=1)))
  chosen = sorted(data.draw(st.sets(st.sampled_from(present), min_size=1)))
  hypothesis.assume(final_can_be_placed(run, present))
  hypothesis.assume(
      any(run.entries[a].step is not None
          for a in expected_groups(run, chosen)[1])
  )
  with tempfile.TemporaryDirectory() as directory:
    write(run, directory)
    for path in pathlib.Path(directory).iterdir():
      if int(path.name.split('.')[-2]) not in present:
        os.remove(path)
    check(run, open_log(run, directory, ','.join(map(str, chosen))), chosen)
    if chosen == present:
      check(run, open_log(run, directory, 'all'), chosen)
    if chosen == present[-1:]:
      check(run, open_log(run, directory, 'latest'), chosen)


@hypothesis.settings(max_examples=60)
@hypothesis.given(runs(), st.data())
def test_any_share_of_the_episodes_can_be_read_alone(run, data):
  hypothesis.assume(final_can_be_placed(run, range(len(run.saved))))
  with tempfile.TemporaryDirectory() as directory:
    write(run, directory)
    index = open_log(run, directory, 'all').index()
    first = data.draw(st.integers(0, len(index.spans) - 1))
    spans = index.spans[first : first + data.draw(st.integers(1, 3))]
    whole = open_log(run, directory, 'all').read(index.spans)
    expected = [stream.load() for stream in whole][first : first + len(spans)]
    # Another process, which knows only the numbers.
    again = open_log(run, directory, ','.join(map(str, index.checkpoints)))
    for stream, episode in itertools.zip_longest(again.read(spans), expected):
      found = stream.load()
      np.testing.assert_array_equal(found.observations, episode.observations)
      np.testing.assert_array_equal(found.actions, episode.actions)
      np.testing.assert_array_equal(found.rewards, episode.rewards)
