"""Tells ends by a time limit from terminal ones in logs that mix them up.

Dopamine's TensorFlow agents, and so the DQN Replay Dataset, store the last step
of an episode as terminal whatever ended it (`DQNAgent.end_episode`). What is
left of a time limit is the length of the episode: `Runner` cuts at 27,000
steps, the environment of newer versions at 100,000 frames, which are 25,000
steps.
"""

import dataclasses
from typing import Sequence

from rrl_pipeline import types
from rrl_pipeline.logs import reader


def recognise(
    spans: Sequence[reader.EpisodeSpan], time_limit_steps: Sequence[int]
) -> tuple[tuple[reader.EpisodeSpan, ...], tuple[str, ...]]:
  """Makes terminal ends truncations where the length is that of a time limit.

  A log in which any end is marked as a truncation tells the two apart itself:
  nothing is changed in it. Nor is an episode whose start is lost, since its
  length is not known.

  Args:
    spans: episodes of a log.
    time_limit_steps: lengths at which a time limit ends an episode.

  Returns:
    The episodes, and warnings.
  """
  if any(span.end is types.EpisodeEnd.TRUNCATED for span in spans):
    return tuple(spans), ()
  hits = {
      i
      for i, span in enumerate(spans)
      if span.end is types.EpisodeEnd.TERMINAL
      and span.complete_start
      and span.length in time_limit_steps
  }
  if not hits:
    return tuple(spans), ()
  marked = tuple(
      dataclasses.replace(span, end=types.EpisodeEnd.TRUNCATED)
      if i in hits
      else span
      for i, span in enumerate(spans)
  )
  lengths = sorted({spans[i].length for i in hits})
  return marked, (
      f'{len(hits)} of {len(spans)} episodes are stored as terminal after '
      f'exactly {" or ".join(map(str, lengths))} steps: taken for ends by a '
      'time limit (see --time_limit_steps)',
  )
