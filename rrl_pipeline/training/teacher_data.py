"""What a student takes from its teacher's data while it learns online."""

import dataclasses
from typing import Callable, Iterator, Optional, Sequence

from rrl_pipeline.replay import frame_store
from rrl_pipeline.replay import transition_source
from rrl_pipeline.rlds import loading


@dataclasses.dataclass(frozen=True)
class NewestEpisodes:
  """The last episodes of datasets, to fill a replay with.

  Attributes:
    num_rows: RLDS steps of all of them.
    read: reads them, oldest first, as the rows that a store takes.
  """

  num_rows: int
  read: Callable[[], Iterator[frame_store.Rows]]


@dataclasses.dataclass(frozen=True)
class TeacherData:
  """The teacher's data, as far as a method asks for it.

  Attributes:
    source: to rehearse from.
    newest: to begin the replay with.
  """

  source: Optional[transition_source.TransitionSource] = None
  newest: Optional[NewestEpisodes] = None


def newest_episodes(
    datasets: Sequence[loading.RldsDataset], capacity: int, num_actions: int
) -> NewestEpisodes:
  """The fewest last episodes that fill a replay, or all.

  Args:
    datasets: one or several; the last one counts as the newest.
    capacity: rows that the replay holds.
    num_actions: that the teacher can choose from.
  """
  places = [
      (dataset, index)
      for dataset in datasets
      for index in range(dataset.num_episodes)
  ]
  first, num_rows = len(places), 0
  while first and num_rows < capacity:
    first -= 1
    dataset, index = places[first]
    num_rows += int(dataset.lengths[index])

  def read() -> Iterator[frame_store.Rows]:
    for dataset, index in places[first:]:
      yield dataset.episode(index, num_actions)

  return NewestEpisodes(num_rows, read)
