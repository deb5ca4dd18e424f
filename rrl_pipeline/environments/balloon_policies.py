"""Behaviour that explores the winds: a random walk, and MarcoPolo around it.

Both follow the Balloon Learning Environment (BLE) step by step, but draw from the
generator of the episode, so that an episode can be played again on its own.
They need the features of the balloon only, not the environment's package.
"""

import numpy as np

DOWN, STAY, UP = range(3)
ACTION_MEANINGS = ('DOWN', 'STAY', 'UP')

SECONDS_PER_STEP = 180
_POLICY_STEPS = 4 * 3600 // SECONDS_PER_STEP
_WALK_STEPS = 2 * 3600 // SECONDS_PER_STEP

# Pressures in Pa: those of feature 0 at 0 and 1, and those that a walk starts
# from.
_PRESSURE_RANGE = (5000, 14000)
_START_RANGE = (6500, 11400)
_TOLERANCE = 100
_PASCALS_PER_SECOND = 0.1666


class RandomWalk:
  """Pursues a pressure that walks at random.

  The standard deviation of an increment is proportional to the time since the
  walk began, not to that since the last increment: so it is in the
  environment's own agent. The target soon leaves the range of the balloon,
  which then climbs, or sinks, until the target crosses to the other side.
  """

  def start(self, generator: np.random.Generator) -> None:
    """Begins an episode; all its random numbers come from `generator`."""
    self._generator = generator
    self._target = generator.uniform(*_START_RANGE)
    self._seconds = 0

  def action(self, observation: np.ndarray) -> int:
    """The next action, given the observation, float32 [1099]."""
    self._target += (
        self._seconds * _PASCALS_PER_SECOND * self._generator.standard_normal()
    )
    self._seconds += SECONDS_PER_STEP
    low, high = _PRESSURE_RANGE
    pressure = low + float(observation[0]) * (high - low)
    if pressure - _TOLERANCE > self._target:
      return UP
    if pressure + _TOLERANCE < self._target:
      return DOWN
    return STAY


class MarcoPolo:
  """Interleaves a policy with a random walk, in a share of episodes.

  Such an episode alternates four hours of the policy and two hours of the
  walk, beginning with the policy. The walk stands still meanwhile.

  Attributes:
    exploring: whether the walk chose the last action.
  """

  def __init__(self, share: float):
    """Explores in this share of episodes; in 0.8 of BLE's own training."""
    self._share = share
    self._walk = RandomWalk()
    self.exploring = False

  def start(self, generator: np.random.Generator) -> None:
    """Begins an episode; all its random numbers come from `generator`."""
    self._explores = generator.random() < self._share
    self._walk.start(generator)
    self._step = 0
    self.exploring = False

  def action(self, observation: np.ndarray, policy_action: int) -> int:
    """The action to take, given the observation and the policy's choice."""
    phase = self._step % (_POLICY_STEPS + _WALK_STEPS)
    self.exploring = self._explores and phase >= _POLICY_STEPS
    # The walk begins with the episode, though its first action is not taken.
    if self.exploring or self._step == 0:
      walk_action = self._walk.action(observation)
    self._step += 1
    return walk_action if self.exploring else int(policy_action)
