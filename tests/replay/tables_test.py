"""Tests of the rate limiter: neither actor nor learner gets ahead."""

import threading

from dm_env import specs
import numpy as np
import pytest
import reverb

from rrl_pipeline.replay import step_items
from rrl_pipeline.replay import streams
from rrl_pipeline.replay import tables

_ACTIONS, _MAX_UNREAD = 2, 4


@pytest.fixture(name='client')
def fixture_client():
  observation_spec = specs.BoundedArray((2, 2), np.uint8, 0, 255)
  server = reverb.Server(
      [tables.step_table(observation_spec, _ACTIONS, _MAX_UNREAD)]
  )
  yield reverb.Client(f'localhost:{server.port}')
  server.stop()


def _write(writer, number: int, **changes) -> None:
  item = step_items.StepItem(
      observation=np.zeros((2, 2), np.uint8),
      teacher_values=np.zeros(_ACTIONS, np.float32),
      record=step_items.pack((number, 0, False, False, False, True)),
  )
  writer.append(item._replace(**changes))
  writer.create_item(
      tables.STEPS,
      priority=1.0,
      trajectory=step_items.StepItem(*(c[-1:] for c in writer.history)),
  )


def test_an_actor_is_held_when_it_is_too_far_ahead(client):
  writer = client.trajectory_writer(num_keep_alive_refs=1)
  stream = streams.StepStream(client)
  for number in range(_MAX_UNREAD):
    _write(writer, number)
  writer.flush(timeout_ms=60_000)  # So many are allowed.
  _write(writer, _MAX_UNREAD)
  with pytest.raises(reverb.DeadlineExceededError):
    writer.flush(timeout_ms=300)
  assert client.server_info()[tables.STEPS].current_size == _MAX_UNREAD
  # One step that is read lets one in, and nothing was lost or overwritten.
  assert stream.read(1).action.tolist() == [0]
  writer.flush(timeout_ms=60_000)
  assert stream.read(_MAX_UNREAD).action.tolist() == [1, 2, 3, 4]


def test_a_learner_waits_for_what_is_not_written_yet(client):
  writer = client.trajectory_writer(num_keep_alive_refs=1)
  stream = streams.StepStream(client)
  _write(writer, 0)
  writer.flush(timeout_ms=60_000)
  found = []
  learner = threading.Thread(
      target=lambda: found.extend(stream.read(2).action), daemon=True
  )
  learner.start()
  learner.join(timeout=0.3)
  assert learner.is_alive() and not found
  _write(writer, 1)
  learner.join(timeout=60)
  assert not learner.is_alive()
  assert found == [0, 1]


def test_a_row_of_another_shape_is_refused(client):
  writer = client.trajectory_writer(num_keep_alive_refs=1)
  with pytest.raises(ValueError, match='observation|teacher_values'):
    _write(writer, 0, teacher_values=np.zeros(_ACTIONS + 1, np.float32))
    writer.flush(timeout_ms=60_000)
