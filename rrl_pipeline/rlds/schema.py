"""The RLDS schema of replay datasets; how a logged episode becomes a record.

The fields of a step and their dtypes are those of TFDS's `rlu_atari`, so that
code written for it reads these datasets. One thing differs on purpose.
`rlu_atari` turns the last logged step into the RLDS step `is_last`, whose
reward is void by the definition of RLDS, and so loses the last reward of each
episode. Here nothing that was logged is lost where the format can hold it:

* an episode whose log holds the observation after its last action, the
  (T + 1)th, has T + 1 steps, however it ended.
* without it, an episode that ended in a terminal state has T + 1 steps, too.
  The last one is made up (`last_observation_synthetic`): nothing bootstraps
  from a terminal state.
* without it, an episode cut by a time limit, or by the end of the log, has T
  steps. Its last observation is a real one, not terminal, from which to
  bootstrap; the action and the reward that followed it cannot be used without
  the next observation and are kept as `dropped_final_action` and
  `dropped_final_reward`.

`is_first` is false in the first step of an episode whose beginning the log has
lost: no initial state is in it.
"""

import dataclasses
import json
import re
from typing import Any, Mapping, Optional, Sequence

import numpy as np
import tensorflow_datasets as tfds

from rrl_pipeline import types
from rrl_pipeline.logs import reader
from rrl_pipeline.rlds import tf_example

STEPS = 'steps'
OBSERVATION = 'observation'
ACTION = 'action'
REWARD = 'reward'
DISCOUNT = 'discount'
IS_FIRST = 'is_first'
IS_LAST = 'is_last'
IS_TERMINAL = 'is_terminal'

CHECKPOINT_ID = 'checkpoint_id'
EPISODE_ID = 'episode_id'
EPISODE_RETURN = 'episode_return'
UID = 'uid'
EPISODE_LENGTH = 'episode_length'
NUM_STEPS = 'num_steps'
END_KIND = 'end_kind'
COMPLETE_START = 'complete_start'
LAST_OBSERVATION_SYNTHETIC = 'last_observation_synthetic'
DROPPED_FINAL_ACTION = 'dropped_final_action'
DROPPED_FINAL_REWARD = 'dropped_final_reward'
FIRST_ADD_INDEX = 'first_add_index'
SOURCE = 'source'
FIRST_SLOT = 'first_slot'
CONTENT_SHA256 = 'content_sha256'
EPISODE_METADATA = 'episode_metadata'

# To be raised when the same log would give other records.
RECORD_FORMAT = 2
ATARI_DATASET = 'atari_replay'
# The split of all episodes, unless each checkpoint is one of its own.
SPLIT = 'train'
ATARI_FRAME_SHAPE = (84, 84)
CONFIG_NAME_PATTERN = re.compile(
    r'^(?P<game>[A-Z][A-Za-z0-9]*)_run_(?P<run>\d+)(_(?P<encoding>raw))?$'
)
NO_ACTION = -1

# How a frame is stored. PNG is what `rlu_atari` has, and small in any file.
# Raw frames cost nothing to decode; in a file that compresses whole episodes
# (array_record) they take less space than PNG.
PNG = 'png'
RAW = 'raw'
ENCODINGS = (PNG, RAW)
# How any other array is stored. Compressed one by one, arrays are small in any
# file and still decoded one by one.
ZLIB = 'zlib'
TENSOR_ENCODINGS = (ZLIB, RAW)


def check_encoding(
    encoding: str, encodings: Sequence[str] = ENCODINGS
) -> None:
  """Raises ValueError unless an encoding is one of those given."""
  if encoding not in encodings:
    what = 'frames' if encodings is ENCODINGS else 'observations'
    raise ValueError(
        f'the encoding of the {what} is {encoding!r}; expected '
        f'{" or ".join(map(repr, encodings))}'
    )


def frame_feature(
    shape: tuple[int, int], encoding: str
) -> tfds.features.FeatureConnector:
  """The feature of a frame, uint8 [H, W], stored with a channel axis.

  Args:
    shape: (H, W).
    encoding: one of ENCODINGS.

  Raises:
    ValueError: if it is another.
  """
  check_encoding(encoding)
  doc = 'Frame before the action.'
  if encoding == RAW:
    return tfds.features.Tensor(
        shape=(*shape, 1), dtype=np.uint8, encoding='bytes', doc=doc
    )
  return tfds.features.Image(
      shape=(*shape, 1), dtype=np.uint8, encoding_format='png', doc=doc
  )


def tensor_feature(
    shape: tuple[int, ...], dtype: str, encoding: str
) -> tfds.features.FeatureConnector:
  """The feature of an observation that is an array, stored as it is.

  Args:
    shape: of one observation.
    dtype: of its numbers.
    encoding: one of TENSOR_ENCODINGS.

  Raises:
    ValueError: if it is another.
  """
  check_encoding(encoding, TENSOR_ENCODINGS)
  return tfds.features.Tensor(
      shape=shape,
      dtype=np.dtype(dtype).type,
      encoding='bytes' if encoding == RAW else 'zlib',
      doc='Observation before the action.',
  )


def atari_features(encoding: str = PNG) -> tfds.features.FeaturesDict:
  """The features of a dataset of Atari replay logs.

  Args:
    encoding: of the frames, one of ENCODINGS.

  Raises:
    ValueError: if it is another.
  """
  return tfds.features.FeaturesDict(
      _features(
          frame_feature(ATARI_FRAME_SHAPE, encoding),
          "Index in the game's minimal action set.",
      )
  )


def replay_features(
    observation: tfds.features.FeatureConnector,
) -> tfds.features.FeaturesDict:
  """The features of a dataset of replay logs of any environment.

  They are those of Atari datasets and EPISODE_METADATA.

  Args:
    observation: of a step.
  """
  return tfds.features.FeaturesDict({
      **_features(observation, 'Index of the action.'),
      EPISODE_METADATA: tfds.features.Text(
          doc='What else the log says of the episode: a JSON object.'
      ),
  })


def _features(
    observation: tfds.features.FeatureConnector, action_doc: str
) -> dict[str, tfds.features.FeatureConnector]:
  return {
      STEPS: tfds.features.Dataset({
          OBSERVATION: observation,
          ACTION: tfds.features.Scalar(np.int64, doc=action_doc),
          REWARD: tfds.features.Scalar(
              np.float32, doc='Brought by the action; clipped if the log is.'
          ),
          DISCOUNT: tfds.features.Scalar(
              np.float32,
              doc='0 if the action led to a terminal state, and in that state.',
          ),
          IS_FIRST: tfds.features.Scalar(
              np.bool_, doc='Whether this is the initial state of an episode.'
          ),
          IS_LAST: tfds.features.Scalar(
              np.bool_, doc='If so, action, reward and discount are void.'
          ),
          IS_TERMINAL: tfds.features.Scalar(np.bool_),
      }),
      CHECKPOINT_ID: tfds.features.Scalar(
          np.int64, doc='Checkpoint of the log that holds the first step.'
      ),
      EPISODE_ID: tfds.features.Scalar(
          np.int64, doc='Index of the episode within its checkpoint.'
      ),
      EPISODE_RETURN: tfds.features.Scalar(
          np.float32, doc='Sum of the logged rewards, a dropped one included.'
      ),
      UID: tfds.features.Text(doc='Unique over all datasets.'),
      EPISODE_LENGTH: tfds.features.Scalar(
          np.int64, doc='Number of logged actions.'
      ),
      NUM_STEPS: tfds.features.Scalar(np.int64, doc='Number of RLDS steps.'),
      END_KIND: tfds.features.Text(
          doc=f'One of {", ".join(end.value for end in types.EpisodeEnd)}.'
      ),
      COMPLETE_START: tfds.features.Scalar(
          np.bool_, doc="False if the log has lost the episode's first steps."
      ),
      LAST_OBSERVATION_SYNTHETIC: tfds.features.Scalar(
          np.bool_, doc='Whether the last observation is zeros, made up.'
      ),
      DROPPED_FINAL_ACTION: tfds.features.Scalar(
          np.int64,
          doc=f'Action after the last observation; {NO_ACTION} if no such.',
      ),
      DROPPED_FINAL_REWARD: tfds.features.Scalar(
          np.float32, doc='Reward after the last observation; 0 if no such.'
      ),
      FIRST_ADD_INDEX: tfds.features.Scalar(
          np.int64, doc='Position of the first step in the log.'
      ),
      SOURCE: tfds.features.Text(
          doc='File of the log that holds the first observation.'
      ),
      FIRST_SLOT: tfds.features.Scalar(
          np.int64, doc='Place of the first step in that file.'
      ),
      CONTENT_SHA256: tfds.features.Text(
          doc=(
              'SHA-256 of the CRC-32C (uint32) of each logged frame, the '
              'actions (int64) and the rewards (float32), little-endian.'
          )
      ),
  }


@dataclasses.dataclass(frozen=True)
class EncodedEpisode:
  """A logged episode with its frames as they are stored.

  In the shapes, F is T, or T + 1 if the span has its final observation.

  Attributes:
    span: where it lies in its log, and how it ended.
    frames: F observations as they are stored, in a list to which more can be
      appended.
    actions: [T], in the dtype of the log.
    rewards: [T], in the dtype of the log.
    checksums: [F] uint32, the CRC-32C of each raw frame.
    is_blank: [F] bool, whether a frame is all zero.
    content_sha256: what the features say, in hexadecimal digits.
    is_finite: [F] bool, whether all numbers of an observation are; None where
      its dtype has no others.
    is_outside: [F] bool, whether a number of an observation is not in the range
      that its environment declares; None if it declares none.
    metadata: what else the log says of the episode; None for datasets that do
      not hold it.
  """

  span: reader.EpisodeSpan
  frames: list[bytes] | tf_example.RawValues
  actions: np.ndarray
  rewards: np.ndarray
  checksums: np.ndarray
  is_blank: np.ndarray
  content_sha256: str
  is_finite: Optional[np.ndarray] = None
  is_outside: Optional[np.ndarray] = None
  metadata: Optional[Mapping[str, Any]] = None


def config_name(game: str, run: int, encoding: str = PNG) -> str:
  """The name of the TFDS configuration: as in `rlu_atari` if frames are PNG.

  Raises:
    ValueError: if the game is not in CamelCase, the run is negative or the
      encoding is not known.
  """
  check_encoding(encoding)
  name = f'{game}_run_{run}' + ('_raw' if encoding == RAW else '')
  if not CONFIG_NAME_PATTERN.match(name):
    raise ValueError(
        f'game is {game!r} and run {run}; expected CamelCase, such as '
        'SpaceInvaders, and a number from 0'
    )
  return name


def uid(dataset: str, config: str, span: reader.EpisodeSpan) -> str:
  """The name of an episode that no other one of any dataset has."""
  return f'{dataset}/{config}/{span.checkpoint_id:02d}/{span.episode_id:06d}'


def to_record(
    episode: EncodedEpisode, unique_id: str, blank_frame: bytes
) -> dict[str, Any]:
  """The RLDS episode of a logged one; see the module's docstring.

  Args:
    episode: T ≥ 1 logged steps. Its frames become those of the record: raw ones
      are too many for a second list of them.
    unique_id: the episode's `uid`.
    blank_frame: a frame of zeros as it is stored.

  Returns:
    The fields of the features: columns of N steps, N = T + 1 or T, and the
    episode's own.
  """
  span = episode.span
  terminal = span.end is types.EpisodeEnd.TERMINAL
  actions = episode.actions.astype(np.int64)
  rewards = episode.rewards.astype(np.float32)
  frames = episode.frames
  synthetic = terminal and not span.has_final_observation
  if synthetic:
    frames.append(blank_frame)
  if terminal or span.has_final_observation:
    actions = np.append(actions, np.int64(0))
    rewards = np.append(rewards, np.float32(0))
    dropped_action, dropped_reward = NO_ACTION, 0.0
  else:
    dropped_action, dropped_reward = int(actions[-1]), float(rewards[-1])
    actions[-1] = 0
    rewards[-1] = 0
  num_steps = len(frames)
  is_first = np.zeros(num_steps, bool)
  is_first[0] = span.complete_start
  is_last = np.zeros(num_steps, bool)
  is_last[-1] = True
  discount = np.ones(num_steps, np.float32)
  if terminal:
    discount[-2:] = 0
  record = {
      STEPS: {
          OBSERVATION: frames,
          ACTION: actions,
          REWARD: rewards,
          DISCOUNT: discount,
          IS_FIRST: is_first,
          IS_LAST: is_last,
          IS_TERMINAL: is_last & terminal,
      },
      CHECKPOINT_ID: np.int64(span.checkpoint_id),
      EPISODE_ID: np.int64(span.episode_id),
      EPISODE_RETURN: np.float32(episode.rewards.sum(dtype=np.float64)),
      UID: unique_id,
      EPISODE_LENGTH: np.int64(span.length),
      NUM_STEPS: np.int64(num_steps),
      END_KIND: span.end.value,
      COMPLETE_START: np.bool_(span.complete_start),
      LAST_OBSERVATION_SYNTHETIC: np.bool_(synthetic),
      DROPPED_FINAL_ACTION: np.int64(dropped_action),
      DROPPED_FINAL_REWARD: np.float32(dropped_reward),
      FIRST_ADD_INDEX: np.int64(span.first_add),
      SOURCE: span.source,
      FIRST_SLOT: np.int64(span.first_slot),
      CONTENT_SHA256: episode.content_sha256,
  }
  if episode.metadata is not None:
    record[EPISODE_METADATA] = json.dumps(episode.metadata, sort_keys=True)
  return record
