"""Tests of weights that wait for their evaluation."""

import numpy as np
import pytest

from rrl_pipeline.training import weight_snapshots


def _snapshot(steps: int) -> weight_snapshots.Snapshot:
  # More than ten, so that the order of names is not the order of numbers.
  return weight_snapshots.Snapshot(
      steps, steps // 4, [np.full((2, i), steps, np.float32) for i in range(12)]
  )


def test_the_oldest_comes_first_until_it_is_discarded(tmp_path):
  snapshots = weight_snapshots.WeightSnapshots(tmp_path / 'a')
  assert snapshots.oldest() is None and not len(snapshots)
  for steps in (1000, 900):
    snapshots.save(_snapshot(steps))
  # Another process finds them too.
  snapshots = weight_snapshots.WeightSnapshots(tmp_path / 'a')
  for steps in (900, 1000):
    found = snapshots.oldest()
    assert (found.actor_steps, found.learner_steps) == (steps, steps // 4)
    for a, b in zip(found.weights, _snapshot(steps).weights, strict=True):
      np.testing.assert_array_equal(a, b)
    snapshots.discard(steps)
  assert snapshots.oldest() is None
  snapshots.discard(1000)


def test_later_ones_are_dropped(tmp_path):
  snapshots = weight_snapshots.WeightSnapshots(tmp_path)
  for steps in (4, 8, 12):
    snapshots.save(_snapshot(steps))
  (tmp_path / 'incomplete').write_bytes(b'half')
  snapshots.truncate_after(8)
  assert len(snapshots) == 2 and snapshots.oldest().actor_steps == 4


def test_a_damaged_one_is_named(tmp_path):
  snapshots = weight_snapshots.WeightSnapshots(tmp_path)
  snapshots.save(_snapshot(7))
  (tmp_path / '7.npz').write_bytes(b'')
  with pytest.raises(ValueError, match='7.npz is no file of arrays'):
    snapshots.oldest()
