"""What the last step of an episode means, and how to make it mean one thing.

By RLDS the last step of an episode has an observation only; its action, reward
and discount are void. Three dialects are told apart:

* `native`: the schema of this package; see schema.py.
* `rlds`: another schema, whose last step is void as RLDS says. Its observation
  is real, also that of a terminal state.
* `rlu_atari`: TFDS's rlu_atari marks the last *transition* as the last step.
  Its action was taken and its reward received there, and counts for the return;
  the observation after it is not stored. Who reads this as RLDS loses the last
  reward of each episode and takes the last state but one for the terminal one.

The features of the latter two are the same, so they are told apart by the
numbers: the return of an episode whose last step holds a reward either counts
it or does not.
"""

import dataclasses
from typing import Any, Iterable, Mapping

import numpy as np

from rrl_pipeline import types
from rrl_pipeline.logs import reader
from rrl_pipeline.rlds import encoding as encoding_lib
from rrl_pipeline.rlds import observations
from rrl_pipeline.rlds import record_validation
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import tf_example

NATIVE = 'native'
RLDS = 'rlds'
RLU_ATARI = 'rlu_atari'
DIALECTS = (NATIVE, RLDS, RLU_ATARI)

# What an episode of another dialect must say to become a native one.
NEEDED_FIELDS = (
    schema.CHECKPOINT_ID,
    schema.EPISODE_ID,
    schema.EPISODE_RETURN,
)
NEEDED_STEP_FIELDS = (
    schema.OBSERVATION,
    schema.ACTION,
    schema.REWARD,
    schema.DISCOUNT,
    schema.IS_FIRST,
    schema.IS_LAST,
    schema.IS_TERMINAL,
)
# What native episodes have and others do not.
_NATIVE_FIELD = schema.LAST_OBSERVATION_SYNTHETIC
_UNKNOWN = -1
_BLOCK = 256
# Relative and absolute, of sums in float32.
_TOLERANCES = (1e-5, 1e-5)
# The steps' columns but the frames: where tf.train.Example keeps each.
_COLUMNS = (
    (schema.ACTION, 'int64_list', np.int64),
    (schema.REWARD, 'float_list', np.float32),
    (schema.DISCOUNT, 'float_list', np.float32),
    (schema.IS_FIRST, 'int64_list', bool),
    (schema.IS_LAST, 'int64_list', bool),
    (schema.IS_TERMINAL, 'int64_list', bool),
)


@dataclasses.dataclass(frozen=True)
class Ending:
  """The rewards of an episode, as far as they tell its dialect.

  Attributes:
    episode_return: as the record says it.
    step_rewards: sum of the rewards of all steps, the last one included.
    last_reward: of the last step.
  """

  episode_return: float
  step_rewards: float
  last_reward: float

  def dialect(self) -> str | None:
    """RLDS or RLU_ATARI; None if it cannot be told."""
    if np.isnan(self.last_reward):
      return RLDS
    if not self.last_reward:
      return None
    for dialect, expected in (
        (RLU_ATARI, self.step_rewards),
        (RLDS, self.step_rewards - self.last_reward),
    ):
      if np.isclose(self.episode_return, expected, *_TOLERANCES):
        return dialect
    return None


def is_native(features: Mapping[str, Any]) -> bool:
  """Whether a dataset with these features has the schema of this package."""
  return _NATIVE_FIELD in features


def detect(endings: Iterable[Ending]) -> str:
  """Tells the dialect of a dataset that is not native from its episodes.

  Raises:
    ValueError: if they do not tell, or contradict each other.
  """
  counts = {RLDS: 0, RLU_ATARI: 0, None: 0}
  for ending in endings:
    counts[ending.dialect()] += 1
  votes = {name: n for name, n in counts.items() if name and n}
  if len(votes) == 1:
    return next(iter(votes))
  if votes:
    found = (
        f'in {counts[RLU_ATARI]} episodes the return counts the reward of the '
        f'last step, in {counts[RLDS]} it does not'
    )
  else:
    found = 'no episode has a reward in its last step that its return counts'
  raise ValueError(
      f'it cannot be told what the last steps of the episodes mean: {found}. '
      f'Say it: --dialect={RLU_ATARI} if the last action was taken and its '
      f'reward received in the last step, --dialect={RLDS} if the last step '
      'has an observation only'
  )


def check(dialect: str, endings: Iterable[Ending]) -> None:
  """Raises ValueError if the returns contradict a dialect."""
  wrong = sum(ending.dialect() not in (dialect, None) for ending in endings)
  if wrong:
    other = RLDS if dialect == RLU_ATARI else RLU_ATARI
    raise ValueError(
        f'the dataset is not of the dialect {dialect}: the returns of {wrong} '
        f'episodes fit {other} only'
    )


def losses(dialect: str) -> list[str]:
  """What a native dataset would know and one of a dialect does not say."""
  if dialect == NATIVE:
    return []
  found = [
      'the position of the episodes in the log is unknown: first_add_index and '
      f'first_slot are {_UNKNOWN}',
      'whether an episode that is not terminal was cut by a time limit or by '
      'the end of the log is unknown: end_kind is truncated',
      'episodes are taken to begin at their true start',
  ]
  if dialect == RLU_ATARI:
    found += [
        'the observation after the last action was never stored: that of '
        'terminal episodes is made up (last_observation_synthetic)',
        'the last action and reward of episodes that are not terminal cannot '
        'be used without it: they are dropped_final_action and '
        'dropped_final_reward',
    ]
  return found


def num_native_steps(dialect: str, num_steps: int, is_terminal: bool) -> int:
  """RLDS steps of the native episode."""
  return num_steps + (dialect == RLU_ATARI and is_terminal)


def to_native(
    record: bytes,
    dialect: str,
    dataset: str,
    config: str,
    frame_encoding: str,
    encoder: encoding_lib.ObservationEncoder,
) -> bytes:
  """A record of another dialect as a native one.

  Args:
    record: serialised, with at least NEEDED_FIELDS.
    dialect: RLDS or RLU_ATARI.
    dataset: name of the dataset that the record is from, and
    config: of its configuration; they become a part of its `uid`.
    frame_encoding: how the record stores its frames.
    encoder: of the frames to store.

  Raises:
    ValueError: if the record cannot be one of the dialect.
  """
  feature = tf_example.parse(record).features.feature
  checkpoint_id, episode_id = (
      feature[name].int64_list.value[0]
      for name in (schema.CHECKPOINT_ID, schema.EPISODE_ID)
  )
  where = f'checkpoint {checkpoint_id}, episode {episode_id}'
  columns = {
      name: np.array(
          getattr(feature[f'{schema.STEPS}/{name}'], kind).value, dtype
      )
      for name, kind, dtype in _COLUMNS
  }
  stored = feature[f'{schema.STEPS}/{schema.OBSERVATION}'].bytes_list.value
  observation = observations.ObservationFormat(
      schema.ATARI_FRAME_SHAPE, frame_encoding
  )
  lengths = {len(column) for column in columns.values()} | {len(stored)}
  if len(lengths) != 1:
    raise ValueError(
        f'{where}: its {len(stored)} frames have columns of other lengths'
    )
  _check_flags(columns, where)
  span = reader.EpisodeSpan(
      checkpoint_id=checkpoint_id,
      episode_id=episode_id,
      first_add=_UNKNOWN,
      length=len(stored) - (dialect == RLDS),
      padding=0,
      end=types.EpisodeEnd.TERMINAL
      if columns[schema.IS_TERMINAL][-1]
      else types.EpisodeEnd.TRUNCATED,
      complete_start=True,
      first_slot=_UNKNOWN,
      has_final_observation=dialect == RLDS,
  )
  rewards = columns[schema.REWARD][: span.length]
  if not np.isfinite(rewards).all():
    raise ValueError(f'{where}: a reward is not finite')
  episode = encoding_lib.encode(
      reader.EpisodeStream(
          span=span,
          actions=columns[schema.ACTION][: span.length],
          rewards=rewards,
          frames=(
              observation.decode(stored[start : start + _BLOCK])
              for start in range(0, len(stored), _BLOCK)
          ),
      ),
      encoder,
  )
  native = schema.to_record(
      episode, schema.uid(dataset, config, span), encoder.blank
  )
  stated = feature[schema.EPISODE_RETURN].float_list.value[0]
  if not np.isclose(native[schema.EPISODE_RETURN], stated, *_TOLERANCES):
    raise ValueError(
        f'{where}: its return is {stated}, but its rewards add up to '
        f'{native[schema.EPISODE_RETURN]}'
    )
  broken = record_validation.violations(native)
  if broken:
    raise ValueError(f'{where}: {"; ".join(broken.values())}')
  return tf_example.serialize(native)


def _check_flags(
    columns: Mapping[str, np.ndarray], where: str
) -> None:
  """Raises ValueError if flags or discounts are not those of an episode.

  A native record has them by its rules; here they must say the same, or
  something would be lost without a word.
  """
  is_terminal = columns[schema.IS_TERMINAL]
  discount = columns[schema.DISCOUNT]
  count = len(is_terminal)
  position = np.arange(count)
  is_last = position == count - 1
  # 0 where an action led into a terminal state; void in the last step.
  leads_to_terminal = (position == count - 2) & is_terminal[-1]
  wrong = {
      schema.IS_FIRST: columns[schema.IS_FIRST] != (position == 0),
      schema.IS_LAST: columns[schema.IS_LAST] != is_last,
      schema.IS_TERMINAL: is_terminal & ~is_last,
      schema.DISCOUNT: ~(
          is_last | (discount == 1) | leads_to_terminal & (discount == 0)
      ),
  }
  for name, steps in wrong.items():
    if steps.any():
      step = int(np.argmax(steps))
      raise ValueError(
          f'{where}: {name} of step {step} of {count} is '
          f'{columns[name][step]}, which no episode of this dialect has'
      )
