"""Tests of the score that an exported agent carries."""

import numpy as np

from rrl_pipeline.training import agent_export


def test_a_score_says_how_it_came_about():
  assert agent_export.score(np.array([1.0, 3.0]), 0.001, 'Pong') == {
      'mean_return': 2.0, 'std_return': 1.0, 'num_episodes': 2,
      'epsilon': 0.001, 'random_return': -20.7,
  }
