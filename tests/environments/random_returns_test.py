"""Tests of the table of random returns."""

from ale_py import roms
import pytest

from rrl_pipeline.environments import balloon_config
from rrl_pipeline.environments import minatar
from rrl_pipeline.environments import random_returns


def test_the_papers_games_have_the_papers_scores():
  # From the authors' table; also what their figures are normalised with.
  expected = {
      'Asterix': 210, 'BeamRider': 363.9, 'Bowling': 23.1, 'Breakout': 1.7,
      'Enduro': 0, 'MsPacman': 307.3, 'Qbert': 163.9, 'Riverraid': 1338.5,
      'Seaquest': 68.4, 'SpaceInvaders': 148,
  }
  for game, value in expected.items():
    assert random_returns.random_return(game) == value
  assert random_returns.random_return('Pong') == -20.7


def test_every_game_of_the_table_is_a_game():
  tasks = set(random_returns.RANDOM_RETURNS)
  tasks.remove(balloon_config.BalloonConfig.task)
  atari = {task for task in tasks if '-' not in task}
  assert len(atari) == 57
  assert atari == set(filter(random_returns.is_published, tasks))
  assert not random_returns.is_published(balloon_config.BalloonConfig.task)
  names = {name.replace('_', '') for name in roms.get_all_rom_ids()}
  assert {game.lower() for game in atari} <= names
  assert tasks - atari == {
      minatar.MinAtarConfig(game=game).task for game in minatar.GAMES
  }


def test_a_game_without_a_value_is_named():
  with pytest.raises(ValueError, match="no random return .* 'Adventure'"):
    random_returns.random_return('Adventure')
