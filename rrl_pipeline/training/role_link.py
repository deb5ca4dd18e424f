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
from reverb import pybind
from reverb.cc import schema_pb2
import tensorflow as tf

from rrl_pipeline import types
from rrl_pipeline.environments import environment as environment_lib
from rrl_pipeline.replay import actor_rows
from rrl_pipeline.replay import server as server_lib
from rrl_pipeline.replay import tables
from rrl_pipeline.training import patience as patience_lib

_COUNTERS, _POLICY, _OFFER = 'counters', 'policy', 'offer'
_RECORDS, _END = 'records', 'end'
_MAX_RECORDS = 100
_POLL_SECONDS = 0.1


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


class Evaluation(NamedTuple):
  """What came of weights that were offered.

  Attributes:
    offer: number that `Counters` gave them.
    records: of their episodes.
  """

  offer: int
  records: list[types.EvaluationRecord]


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
_EVALUATION_SIGNATURE = Evaluation(
    tf.TensorSpec((), np.int64), tf.TensorSpec([None], np.uint8)
)


def make_server(
    interface: environment_lib.Interface,
    variables: Sequence[tf.Variable],
    max_unread: int,
    port: Optional[int] = None,
    host: str = 'localhost',
) -> reverb.Server:
  """Starts a server for all roles of one agent.

  Args:
    interface: of the environment.
    variables: of its network.
    max_unread: see `tables.step_queue`.
    port: where it listens; None for any.
    host: by which clients know this machine; see `server.make`.

  Raises:
    ValueError: if another program has the port.
  """
  policy = _Policy(
      _STATE_SIGNATURE, tuple(tf.TensorSpec(v.shape, v.dtype) for v in variables)
  )
  return server_lib.make(
      [
          actor_rows.queue(interface.frame, interface.num_actions, max_unread),
          _table_of_one(_COUNTERS, _COUNTERS_SIGNATURE),
          _table_of_one(_POLICY, policy),
          _table_of_one(_OFFER, policy),
          _table_of_one(_END, tf.TensorSpec((), np.bool_)),
          reverb.Table.queue(
              _RECORDS, _MAX_RECORDS, signature=_EVALUATION_SIGNATURE
          ),
      ],
      port,
      host,
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
  """One role's connection to the server.

  Every method waits as long as `patience.Patience` does, and raises
  UnreachableError then.

  Attributes:
    address: of the server, HOST:PORT.
    client: of the server; its own calls wait for ever.
    patience: with which the server is waited for.
  """

  def __init__(
      self, address: str, patience: Optional[patience_lib.Patience] = None
  ):
    """Waits until the server answers.

    Args:
      address: HOST:PORT.
      patience: one that says on standard error what it waits for, if None.
    """
    self.address = address
    self.patience = patience or patience_lib.Patience(address)
    self._wait_for_port()
    self.client = reverb.Client(address)
    # Its writers need the signatures, which it keeps.
    self.patience.retry(
        lambda: self.client.server_info(timeout=_attempt_seconds())
    )
    self._server = pybind.Client(address)

  def sizes(self) -> dict[str, int]:
    """Items in each table.

    `reverb.Client.server_info` would decode the signatures each time, which
    makes several new classes.
    """
    infos = self.patience.retry(
        lambda: self._server.ServerInfo(_attempt_seconds())
    )
    tables_info = map(schema_pb2.TableInfo.FromString, infos)
    return {info.name: info.current_size for info in tables_info}

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
    self._insert([np.bool_(True)], _END)

  def push_counters(self, counters: Counters) -> None:
    """Replaces the counters."""
    self._insert([np.int64(value) for value in counters], _COUNTERS)

  def counters(self) -> Optional[Counters]:
    """The latest; None if the learner has given none yet."""
    if not self.sizes()[_COUNTERS]:
      return None
    (sample,) = self.patience.read(lambda: self._sample(_COUNTERS, 1))
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
    count = min(self.sizes()[tables.STEPS], max_rows)
    if not count:
      return []
    return self.patience.write(lambda: actor_rows.read(self.client, count))

  def send_evaluation(self, evaluation: Evaluation) -> None:
    """Gives the learner the records of the weights that it offered."""
    text = '\n'.join(record.to_json() for record in evaluation.records)
    self._insert(
        Evaluation(
            np.int64(evaluation.offer), np.frombuffer(text.encode(), np.uint8)
        ),
        _RECORDS,
    )

  def read_evaluations(self) -> list[Evaluation]:
    """Those that came since the last call."""
    unread = self.sizes()[_RECORDS]
    if not unread:
      return []
    samples = self.patience.write(lambda: self._sample(_RECORDS, unread))
    return [_evaluation(*sample.data) for sample in samples]

  @functools.cached_property
  def _container(self) -> Any:
    # Imported here: it takes seconds, and not everybody needs weights.
    from tf_agents.experimental.distributed import reverb_variable_container

    return self.patience.read(
        lambda: reverb_variable_container.ReverbVariableContainer(
            self.address, (_POLICY, _OFFER)
        )
    )

  def _wait_for_port(self) -> None:
    """Waits until a connection is accepted.

    A client that tried in vain before would wait longer and longer until it
    tried again.
    """
    host, _, port = self.address.rpartition(':')
    place = (host.strip('[]'), int(port))
    self.patience.retry(
        lambda: socket.create_connection(
            place, patience_lib.ATTEMPT_SECONDS
        ).close(),
        _POLL_SECONDS,
    )

  def _insert(self, data: Any, table: str) -> None:
    self.patience.write(lambda: self.client.insert(data, {table: 1.0}))

  def _sample(self, table: str, count: int) -> list[reverb.ReplaySample]:
    return list(
        self.client.sample(table, num_samples=count, emit_timesteps=False)
    )

  def _push(self, table: str, state: PolicyState, weights: Sequence) -> None:
    values = _Policy(
        _tensors(state, _STATE_SIGNATURE),
        tuple(tf.convert_to_tensor(weight) for weight in weights),
    )
    container = self._container
    self.patience.write(lambda: container.push(values, table))

  def _update(
      self, table: str, variables: Sequence[tf.Variable]
  ) -> PolicyState:
    container = self._container
    while not self.sizes()[table]:
      time.sleep(_POLL_SECONDS)
    state, weights = self.patience.read(lambda: container.pull(table))
    for variable, value in zip(variables, weights, strict=True):
      variable.assign(value)
    return PolicyState(*(value.numpy() for value in state))


def _evaluation(offer: np.ndarray, text: np.ndarray) -> Evaluation:
  lines = np.squeeze(text, 0).tobytes().decode().split('\n')
  return Evaluation(
      int(np.squeeze(offer)),
      [types.EvaluationRecord.from_json(line) for line in lines],
  )


def _attempt_seconds() -> int:
  return round(patience_lib.ATTEMPT_SECONDS)


def _tensors(values: tuple, signature: tuple) -> tuple:
  return type(values)(
      *(
          # TensorFlow keeps the tensor of each of Python's numbers for ever.
          tf.constant(np.asarray(value), spec.dtype)
          for value, spec in zip(values, signature, strict=True)
      )
  )
