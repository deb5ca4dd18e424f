"""Writes random buffers of Dopamine 4.1 and reads them back, against a list.

The list says of every element that was ever added which step it came from. Each
file is a slice of it.
"""

import dataclasses
import itertools
import tempfile

import hypothesis
from hypothesis import strategies as st
import numpy as np

from rrl_pipeline import types
from rrl_pipeline.logs import dopamine_msgpack
from rrl_pipeline.logs import reader
from rrl_pipeline.testing import msgpack_log

TERMINAL = types.EpisodeEnd.TERMINAL
TRUNCATED = types.EpisodeEnd.TRUNCATED
LOG_END = types.EpisodeEnd.LOG_END


@dataclasses.dataclass(frozen=True)
class Source:
  """The step that an element came from, and whether it came again."""

  episode: int
  step: int
  is_terminal: bool
  is_copy: bool


@dataclasses.dataclass(frozen=True)
class Buffer:
  """A buffer and its saved states.

  Attributes:
    episodes: as they were played.
    sources: of every element.
    saves: for each checkpoint, how many elements there were.
  """

  episodes: list[types.Episode]
  sources: list[Source]
  stack_size: int
  capacity: int
  saves: list[int]
  compress: bool


def make_episode(number, length, end):
  """An episode whose frames are unlike any other's, and never zero."""
  frames = np.full((length, 2, 2), 1, np.uint8)
  frames[:, 0, 0] = 1 + number
  frames[:, 1, 1] = 1 + np.arange(length)
  return types.Episode(
      observations=frames,
      actions=np.arange(length) % 7,
      rewards=(np.arange(length) % 3 - 1).astype(np.float32),
      end=end,
  )


@st.composite
def buffers(draw):
  stack_size = draw(st.integers(1, 5))
  shapes = draw(
      st.lists(
          st.tuples(
              st.integers(1, 12), st.sampled_from([TERMINAL, TRUNCATED])
          ),
          min_size=1,
          max_size=10,
      )
  )
  episodes = [make_episode(i, *shape) for i, shape in enumerate(shapes)]
  sources = []
  for number, (length, end) in enumerate(shapes):
    for step in range(length - 1):
      flagged = end is TERMINAL and step == length - 2
      copies = min(stack_size, length - 1) if flagged else 1
      sources += [
          Source(number, step, flagged, i > 0) for i in range(copies)
      ]
  hypothesis.assume(sources)
  saves = draw(
      st.sets(st.integers(1, len(sources)), min_size=1, max_size=3)
  )
  return Buffer(
      episodes,
      sources,
      stack_size,
      draw(st.integers(1, 60)),
      sorted(saves),
      draw(st.booleans()),
  )


def expected_groups(buffer, numbers):
  """The transitions that the files hold: [(checkpoint, [adds])], copies."""
  holder = {}
  for number in reversed(numbers):
    end = buffer.saves[number]
    for add in range(max(0, end - buffer.capacity), end):
      holder[add] = number  # The first of them counts.
  groups = []
  copies = 0
  for add in sorted(holder):
    source = buffer.sources[add]
    before_is_held = add - 1 in holder
    if source.is_copy and before_is_held:
      copies += 1
    elif (
        before_is_held
        and not source.is_copy
        and source.episode == buffer.sources[add - 1].episode
    ):
      groups[-1][1].append(add)
    else:
      groups.append((holder[add], [add]))
  return groups, copies, holder


def expected_end(buffer, adds, complete, holder, limits):
  last = buffer.sources[adds[-1]]
  if last.is_terminal:
    hit = complete and len(adds) + 1 in limits
    return TRUNCATED if hit else LOG_END
  return TRUNCATED if adds[-1] + 1 in holder else LOG_END


def check(buffer, log_reader, numbers, limits):
  groups, copies, holder = expected_groups(buffer, numbers)
  index = log_reader.index()
  for stream, (number, adds) in itertools.zip_longest(
      log_reader.read(index.spans), groups
  ):
    span = stream.span
    first = buffer.sources[adds[0]]
    complete = first.step == 0 and not first.is_copy and (
        adds[0] == 0
        or adds[0] - 1 in holder
        # Else a last copy looks the same, or all stacks do.
        or not first.is_terminal and buffer.stack_size > 1
    )
    assert span.checkpoint_id == number
    assert (span.first_add, span.length) == (adds[0], len(adds))
    assert span.source == f'{number}/replay/checkpoint.msgpack'
    assert span.first_slot == adds[0] - max(
        0, buffer.saves[number] - buffer.capacity
    )
    assert span.has_final_observation
    assert span.complete_start == complete
    assert span.end is expected_end(buffer, adds, complete, holder, limits)
    true = buffer.episodes[first.episode]
    steps = slice(first.step, first.step + len(adds))
    episode = stream.load()
    np.testing.assert_array_equal(
        episode.observations,
        true.observations[first.step : first.step + len(adds) + 1],
    )
    np.testing.assert_array_equal(episode.actions, true.actions[steps])
    np.testing.assert_array_equal(episode.rewards, true.rewards[steps])
  end = buffer.saves[numbers[-1]]
  assert index.accounting == reader.Accounting(
      adds=end,
      transitions=len(holder) - copies,
      padding=copies,
      left_out=end - len(holder),
  )
  assert index.frame_shape == (2, 2)
  assert index.metadata == {'stack_size': buffer.stack_size}


@hypothesis.settings(max_examples=200)
@hypothesis.given(buffers(), st.sampled_from([(), (4, 7)]), st.data())
def test_reader_finds_what_the_buffer_holds(buffer, limits, data):
  numbers = range(len(buffer.saves))
  chosen = sorted(data.draw(st.sets(st.sampled_from(numbers), min_size=1)))
  with tempfile.TemporaryDirectory() as directory:
    log = msgpack_log.MsgpackLog(
        buffer.capacity, buffer.stack_size, buffer.compress
    )
    for episode in buffer.episodes:
      log.add_episode(episode)
    assert len(log.elements) == len(buffer.sources)
    for number, add_count in enumerate(buffer.saves):
      log.save(directory, number, add_count)
    for checkpoints, expected in (
        ('all', list(numbers)),
        ('latest', [numbers[-1]]),
        (','.join(map(str, chosen)), chosen),
    ):
      check(
          buffer,
          dopamine_msgpack.DopamineMsgpackReader(
              dopamine_msgpack.DopamineMsgpackLogConfig(
                  directory, checkpoints, limits
              )
          ),
          expected,
          limits,
      )
