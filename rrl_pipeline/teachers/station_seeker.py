"""StationSeeker, the hand-made controller of balloons, asked in batches.

Bellemare et al., "Autonomous navigation of stratospheric balloons using
reinforcement learning" (Nature, 2020), Methods: a balloon goes to the altitude
whose wind has the highest score. The constants are those of the paper, as in
the Balloon Learning Environment, whose agent takes one observation at a time.
"""

import math

import tensorflow as tf

# Layout of an observation: 16 features of the balloon, then a column of winds
# centred on the balloon, (uncertainty, bearing error, speed) at each level.
NUM_FEATURES = 1099
_NUM_AMBIENT = 16
_DISTANCE = 7
_NUM_LEVELS = 361
_CENTRE = _NUM_LEVELS // 2

_DISTANCE_SCALE = 250.0  # km; the feature is d / (d + scale).
_SPEED_SCALE = 30.0  # m/s, likewise.

_DOWN, _STAY, _UP = range(3)

# Distances in km, rates per (m/s) and per radian of bearing error.
_NEAR_STATION = 35.0
_SPEED_RATE = 0.07
_BEARING_RATES = (0.6, 0.45)
_BEARING_DISTANCES = (250.0, 500.0)
_UNKNOWN_WIND = 0.5
_STAYING_BONUS = 0.05
_STAYING_RATE = 0.001
_CONFIDENCE_OFFSET = 0.01


def scores(observation: tf.Tensor) -> tf.Tensor:
  """The score of every level, 0 where the balloon cannot go.

  Computed in float64 and in the order of the original, since the highest of
  two nearly equal scores decides.

  Args:
    observation: float32 [B, 1099].

  Returns:
    float64 [B, 361], highest altitude first; the balloon is at level 180.
  """
  observation = tf.cast(observation, tf.float64)
  winds = tf.reshape(observation[:, _NUM_AMBIENT:], (-1, _NUM_LEVELS, 3))
  uncertainty, bearing, speed = tf.unstack(winds, axis=2)
  reachable = (speed != 1) | (bearing != 1) | (uncertainty != 0)
  distance = _undo_squash(observation[:, _DISTANCE, None], _DISTANCE_SCALE)
  near, far = _BEARING_DISTANCES
  ramp = tf.clip_by_value((distance - near) / (far - near), 0.0, 1.0)
  bearing_rate = _BEARING_RATES[0] + ramp * (
      _BEARING_RATES[1] - _BEARING_RATES[0]
  )
  # Close to the station a slow wind is best, far away one that leads there.
  closeness = tf.exp(-distance / _NEAR_STATION)
  slow = tf.exp(-_SPEED_RATE * _undo_squash(speed, _SPEED_SCALE))
  homeward = tf.exp(-bearing_rate * (bearing * math.pi))
  wind = (1 - closeness) * homeward + closeness * slow
  levels_away = tf.abs(tf.range(_NUM_LEVELS, dtype=tf.float64) - _CENTRE)
  score = (
      (1.0 - uncertainty + _CONFIDENCE_OFFSET) * wind
      + uncertainty * _UNKNOWN_WIND
      + _STAYING_BONUS * tf.exp(-_STAYING_RATE * levels_away)
  )
  return tf.where(reachable, score, tf.zeros_like(score))


def actions(observation: tf.Tensor) -> tf.Tensor:
  """Where the best level lies: 0 down, 1 here, 2 up.

  Args:
    observation: float32 [B, 1099].

  Returns:
    int64 [B].
  """
  level = tf.argmax(scores(observation), axis=1)
  away = tf.sign(_CENTRE - level)
  return away + _STAY


class OneHotActions(tf.keras.layers.Layer):
  """float32 [B, 1099] → float32 [B, 3], 1 at StationSeeker's action."""

  def call(self, inputs: tf.Tensor) -> tf.Tensor:
    return tf.one_hot(actions(inputs), _UP + 1)


def make_network() -> tf.keras.Model:
  """StationSeeker in the form in which teachers are exported: no weights."""
  return tf.keras.Sequential(
      [
          tf.keras.layers.Input((NUM_FEATURES,), dtype=tf.float32),
          OneHotActions(),
      ],
      name='station_seeker',
  )


def _undo_squash(value: tf.Tensor, scale: float) -> tf.Tensor:
  """Inverts x / (x + scale); 1 stands for infinity."""
  return value * scale / (1 - value)
