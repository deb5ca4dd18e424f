"""What random play scores, task by task."""

import types
from typing import Mapping

# Mean undiscounted return of uniformly random play: the published values that
# Wang et al. (2016, arXiv:1511.06581) tabulate for 57 games, from episodes of
# at most 108,000 frames that begin with 1 to 30 no-op actions. Agarwal et al.
# (2022) normalise with the same values except for VideoPinball, where their
# code has 0.
_PUBLISHED: Mapping[str, float] = types.MappingProxyType({
    'Alien': 227.8,
    'Amidar': 5.8,
    'Assault': 222.4,
    'Asterix': 210.0,
    'Asteroids': 719.1,
    'Atlantis': 12850.0,
    'BankHeist': 14.2,
    'BattleZone': 2360.0,
    'BeamRider': 363.9,
    'Berzerk': 123.7,
    'Bowling': 23.1,
    'Boxing': 0.1,
    'Breakout': 1.7,
    'Centipede': 2090.9,
    'ChopperCommand': 811.0,
    'CrazyClimber': 10780.5,
    'Defender': 2874.5,
    'DemonAttack': 152.1,
    'DoubleDunk': -18.6,
    'Enduro': 0.0,
    'FishingDerby': -91.7,
    'Freeway': 0.0,
    'Frostbite': 65.2,
    'Gopher': 257.6,
    'Gravitar': 173.0,
    'Hero': 1027.0,
    'IceHockey': -11.2,
    'Jamesbond': 29.0,
    'Kangaroo': 52.0,
    'Krull': 1598.0,
    'KungFuMaster': 258.5,
    'MontezumaRevenge': 0.0,
    'MsPacman': 307.3,
    'NameThisGame': 2292.3,
    'Phoenix': 761.4,
    'Pitfall': -229.4,
    'Pong': -20.7,
    'PrivateEye': 24.9,
    'Qbert': 163.9,
    'Riverraid': 1338.5,
    'RoadRunner': 11.5,
    'Robotank': 2.2,
    'Seaquest': 68.4,
    'Skiing': -17098.1,
    'Solaris': 1236.3,
    'SpaceInvaders': 148.0,
    'StarGunner': 664.0,
    'Surround': -10.0,
    'Tennis': -23.8,
    'TimePilot': 3568.0,
    'Tutankham': 11.4,
    'UpNDown': 533.4,
    'Venture': 0.0,
    'VideoPinball': 16256.9,
    'WizardOfWor': 563.5,
    'YarsRevenge': 3092.9,
    'Zaxxon': 32.5,
})

_MEASURED: Mapping[str, float] = types.MappingProxyType({
    # Over 1,000 episodes, by benchmarks/minatar_random_play.py; the standard
    # errors are 0.028, 0.020, 0.020, 0.012 and 0.108.
    'MinAtar-Asterix': 0.523,
    'MinAtar-Breakout': 0.394,
    'MinAtar-Freeway': 0.408,
    'MinAtar-Seaquest': 0.101,
    'MinAtar-SpaceInvaders': 4.262,
    # Of the random walk of the Balloon Learning Environment, on the 100 seeds
    # of its suite `small`, by the evaluate stage; the standard error is 9.3.
    'Balloon': 142.1,
})

RANDOM_RETURNS: Mapping[str, float] = types.MappingProxyType(
    {**_PUBLISHED, **_MEASURED}
)


def is_published(task: str) -> bool:
  """Whether the return is of others, and was measured on their terms."""
  return task in _PUBLISHED


def random_return(task: str) -> float:
  """Returns the mean return of random play, in raw points.

  Args:
    task: as the environment's configuration names it, such as 'MsPacman'.

  Raises:
    ValueError: no value is known for this task.
  """
  if task not in RANDOM_RETURNS:
    raise ValueError(
        f'no random return is known for {task!r}: expected one of the'
        f' {len(RANDOM_RETURNS)} tasks that have one, such as Pong or'
        ' SpaceInvaders; it has to be measured and added here'
    )
  return RANDOM_RETURNS[task]
