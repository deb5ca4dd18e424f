"""What the roles of a distributed run say to each other, through one server.

The Reverb server holds, besides the queue of steps, tables of one item each,
the learner's weights with the state that actors need, the weights that are to
be evaluated, counters, and the word that all is done. TF-Agents' variable
container carries the weights. A last table takes the evaluator's records to the
learner.
"""

import functools
import socket
import time
from typing import Any, NamedTuple, Optional, Sequence

import numpy as np
import reverb
import tensorflow as tf

from rrl_pipeline import types
from rrl_pipeline.environments import environment as environment_lib
from rrl_pipeline.replay import actor_rows
from rrl_pipeline.replay import tables

_COUNTERS, _POLICY, _OFFER = 'counters', 'policy', 'offer'
_RECORDS, _END = 'records', 'end'
_MAX_RECORDS = 100
_CALL_SECONDS = 10
# A learner that is started anew takes less, and so does a server.
_PATIENCE_SECONDS = 120.0


class UnreachableError(Exception):
  """The replay server does not answer."""


class Counters(NamedTuple):
  """How far the learner is; scalars.

  Attributes:
    actor_steps: int64, steps of all actors that it has taken.
    learner_steps: int64, its updates.
    offer: int64, a number of the weights that wait for an evaluation; 0 if none
      do.
  """

  actor_steps: int
  learner_steps: int
  offer: int


class PolicyState(NamedTuple):
  """What belongs to weights; scalars.

  Attributes:
    actor_steps: int64, as of which they are.
    learner_steps: int64, likewise.
    asks_teacher: bool, whether steps must come with the teacher's values.
    horizon: int64, α of the roll-in.
  """

  actor_steps: int
  learner_steps: int
  asks_teacher: bool
  horizon: int


class _Policy(NamedTuple):
  state: PolicyState
  weights: tuple


_COUNTERS_SIGNATURE = Counters(*[tf.TensorSpec((), np.int64)] * 3)
_STATE_SIGNATURE = PolicyState(
    *(
        tf.TensorSpec((), dtype)
        for dtype in (np.int64, np.int64, np.bool_, np.int64)
    )
)


def make_server(
    interface: environment_lib.Interface,
    variables: Sequence[tf.Variable],
    max_unread: int,
    port: Optional[int] = None,
) -> reverb.Server:
  """Starts a server for all roles of one agent.

  Args:
    interface: of the environment.
    variables: of its network.
    max_unread: see `tables.step_queue`.
    port: where it listens, on all addresses of the machine (Reverb has no other
      way); None for any.
  """
  policy = _Policy(
      _STATE_SIGNATURE, tuple(tf.TensorSpec(v.shape, v.dtype) for v in variables)
  )
  return reverb.Server(
      [
          actor_rows.queue(interface.frame, interface.num_actions, max_unread),
          _table_of_one(_COUNTERS, _COUNTERS_SIGNATURE),
          _table_of_one(_POLICY, policy),
          _table_of_one(_OFFER, policy),
          _table_of_one(_END, tf.TensorSpec((), np.bool_)),
          reverb.Table.queue(
              _RECORDS, _MAX_RECORDS, signature=tf.TensorSpec([None], np.uint8)
          ),
      ],
      port,
  )


def _table_of_one(name: str, signature) -> reverb.Table:
  return reverb.Table(
      name,
      reverb.selectors.Fifo(),
      reverb.selectors.Fifo(),
      max_size=1,
      rate_limiter=reverb.rate_limiters.MinSize(1),
      signature=signature,
  )


class RoleLink:
  """One role's connection to the server."""

  def __init__(self, address: str):
    """Waits until the server answers.

    Args:
      address: HOST:PORT.

    Raises:
      UnreachableError: if it does not for two minutes.
    """
    self.address = address
    self._wait_for_port()
    self.client = reverb.Client(address)
    self.sizes()

  def sizes(self) -> dict[str, int]:
    """Items in each table.

    Raises:
      UnreachableError: if the server does not answer for two minutes.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
      try:
        tables_info = self.client.server_info(timeout=_CALL_SECONDS)
        return {n: info.current_size for n, info in tables_info.items()}
      except (reverb.errors.DeadlineExceededError, RuntimeError) as error:
        if time.monotonic() > deadline:
          raise self._unreachable() from error
        time.sleep(1)

  @property
  def has_policy(self) -> bool:
    """Whether the learner has given weights; a new server has none."""
    return bool(self.sizes()[_POLICY])

  @property
  def is_finished(self) -> bool:
    """Whether nothing remains to be done for anybody."""
    return bool(self.sizes()[_END])

  def finish(self) -> None:
    """Says that nothing remains to be done."""
    self.client.insert([np.bool_(True)], {_END: 1.0})

  def push_counters(self, counters: Counters) -> None:
    """Replaces the counters."""
    self.client.insert(
        [np.int64(value) for value in counters], {_COUNTERS: 1.0}
    )

  def counters(self) -> Optional[Counters]:
    """The latest; None if the learner has given none yet."""
    if not self.sizes()[_COUNTERS]:
      return None
    (sample,) = self.client.sample(_COUNTERS, emit_timesteps=False)
    return Counters(*(int(np.squeeze(value)) for value in sample.data))

  def push_policy(
      self, state: PolicyState, weights: Sequence[np.ndarray | tf.Variable]
  ) -> None:
    """Gives the actors new weights."""
    self._push(_POLICY, state, weights)

  def push_offer(
      self, state: PolicyState, weights: Sequence[np.ndarray | tf.Variable]
  ) -> None:
    """Gives the evaluator weights; counters with `offer` are to follow."""
    self._push(_OFFER, state, weights)

  def update_policy(self, variables: Sequence[tf.Variable]) -> PolicyState:
    """Takes the actors' weights; waits until there are any."""
    return self._update(_POLICY, variables)

  def update_offer(self, variables: Sequence[tf.Variable]) -> PolicyState:
    """Takes the weights that are to be evaluated."""
    return self._update(_OFFER, variables)

  def read_steps(self, max_rows: int) -> list[actor_rows.ActorRow]:
    """At most so many rows of actors, in the order in which they came."""
    unread = self.sizes()[tables.STEPS]
    return actor_rows.read(self.client, min(unread, max_rows)) if unread else []

  def send_records(self, records: Sequence[types.EvaluationRecord]) -> None:
    """Gives the learner the records of one evaluation."""
    text = '\n'.join(record.to_json() for record in records)
    self.client.insert(
        np.frombuffer(text.encode(), np.uint8), {_RECORDS: 1.0}
    )

  def read_records(self) -> list[list[types.EvaluationRecord]]:
    """The records of evaluations that came since the last call."""
    unread = self.sizes()[_RECORDS]
    if not unread:
      return []
    texts = [
        sample.data[0].tobytes().decode()
        for sample in self.client.sample(
            _RECORDS, num_samples=unread, emit_timesteps=False
        )
    ]
    return [
        [types.EvaluationRecord.from_json(line) for line in text.split('\n')]
        for text in texts
    ]

  @functools.cached_property
  def _container(self) -> Any:
    # Imported here: it takes seconds, and not everybody needs weights.
    from tf_agents.experimental.distributed import reverb_variable_container

    return reverb_variable_container.ReverbVariableContainer(
        self.address, (_POLICY, _OFFER)
    )

  def _wait_for_port(self) -> None:
    """Waits until a connection is accepted.

    A client that tried in vain before would wait longer and longer until it
    tried again.
    """
    host, _, port = self.address.rpartition(':')
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
      try:
        socket.create_connection(
            (host.strip('[]'), int(port)), _CALL_SECONDS
        ).close()
        return
      except OSError as error:
        if time.monotonic() > deadline:
          raise self._unreachable() from error
        time.sleep(0.1)

  def _unreachable(self) -> UnreachableError:
    return UnreachableError(
        f'the replay server at {self.address} has not answered for'
        f' {_PATIENCE_SECONDS:.0f} s; is it running, and may this machine'
        ' connect to it?'
    )

  def _push(self, table: str, state: PolicyState, weights: Sequence) -> None:
    values = _Policy(
        _tensors(state, _STATE_SIGNATURE),
        tuple(tf.convert_to_tensor(weight) for weight in weights),
    )
    self._container.push(values, table)

  def _update(
      self, table: str, variables: Sequence[tf.Variable]
  ) -> PolicyState:
    state, weights = self._container.pull(table)
    for variable, value in zip(variables, weights, strict=True):
      variable.assign(value)
    return PolicyState(*(value.numpy() for value in state))


def _tensors(values: tuple, signature: tuple) -> tuple:
  return type(values)(
      *(
          tf.constant(value, spec.dtype)
          for value, spec in zip(values, signature, strict=True)
      )
  )
