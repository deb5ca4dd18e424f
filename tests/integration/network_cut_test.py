"""What one role says to the others arrives, whatever the network does.

Server, actor and learner are in this process, but the actor's connection goes
through a proxy. tests/integration/distributed_test.py has processes.
"""

import threading
import time

import dm_env
import numpy as np
import pytest
import tensorflow as tf

from rrl_pipeline.environments import atari
from rrl_pipeline.environments import factory
from rrl_pipeline.replay import actor_rows
from rrl_pipeline.replay import episode_pieces
from rrl_pipeline.testing import tcp_proxy
from rrl_pipeline.training import patience
from rrl_pipeline.training import role_link

_ROWS = 400
_CUTS = (60, 150, 240)
_SECONDS = 0.7


@pytest.fixture(name='address')
def fixture_address():
  server = role_link.make_server(
      factory.interface(atari.AtariConfig(frame_size=40)),
      [tf.Variable(tf.zeros((3, 2)))],
      max_unread=16,
  )
  yield f'127.0.0.1:{server.port}'
  server.stop()


@pytest.fixture(name='proxy')
def fixture_proxy(address):
  proxy = tcp_proxy.TcpProxy(address, '127.0.0.2')
  yield proxy
  proxy.close()


def _play(address: str) -> None:
  """Writes an episode, whose rewards say which step they are of."""
  adder = actor_rows.ActorStepAdder(role_link.RoleLink(address).client, 6, 0)
  frame = np.zeros((40, 40), np.uint8)
  adder.add_first(dm_env.restart(frame))
  for t in range(_ROWS):
    end = dm_env.transition if t < _ROWS - 1 else dm_env.termination
    adder.add(0, end(np.float32(t), frame))
  # An adder that is only forgotten drops the rows that are still under way.
  adder.close()


@pytest.mark.parametrize('cut', ['refused', 'stalled'])
def test_rows_arrive_once_and_in_order(address, proxy, cut):
  threading.Thread(target=_play, args=(proxy.address,), daemon=True).start()
  link = role_link.RoleLink(address)
  pieces = episode_pieces.EpisodePieces(n_step=1, stack_size=1)
  steps, cuts, is_last = [], list(_CUTS), False
  deadline = time.monotonic() + 200
  while True:
    assert time.monotonic() < deadline, len(steps)
    for row in link.read_steps(8):
      if not pieces.is_repeated(row):
        pieces.add(row)
        is_last = bool(row.is_last)
        if not is_last:
          steps.append(int(row.reward))
    if is_last:
      break
    if cuts and len(steps) >= cuts[0]:
      cuts.pop(0)
      with getattr(proxy, cut)():
        time.sleep(_SECONDS)
  assert not cuts
  assert steps == sorted(set(steps))
  # Those that were under way may overtake each other, and are given up then.
  lost = _ROWS - len(steps)
  assert lost <= (4 * len(_CUTS) if cut == 'refused' else 0)
  assert pieces.num_given == len(steps)


def test_an_answer_that_is_late_is_waited_for(address, proxy):
  role_link.RoleLink(address).push_counters(role_link.Counters(8, 2, 0))
  link = role_link.RoleLink(proxy.address)
  with proxy.stalled():
    answers = []
    thread = threading.Thread(target=lambda: answers.append(link.counters()))
    thread.start()
    time.sleep(_SECONDS)
    assert not answers
  thread.join()
  assert answers == [role_link.Counters(8, 2, 0)]


def test_a_connection_that_the_network_forgot_is_given_up(
    address, proxy, monkeypatch, capsys
):
  monkeypatch.setattr(patience, '_FIRST_LINE_SECONDS', 1.0)
  link = role_link.RoleLink(proxy.address)
  monkeypatch.setattr(patience, 'ATTEMPT_SECONDS', 1.0)
  monkeypatch.setattr(patience, 'PATIENCE_SECONDS', 3.0)
  monkeypatch.setattr(patience, '_PAUSE_SECONDS', 0.1)
  proxy.forget()
  with pytest.raises(
      patience.UnreachableError, match=f'at {proxy.address} has not answered'
  ):
    link.sizes()
  assert 'has not answered for 1 s; trying until 3 s' in capsys.readouterr().err
  # Others are not affected.
  assert role_link.RoleLink(address).sizes()
