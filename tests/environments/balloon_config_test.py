"""Tests of which flights are flown, and that training has none of a suite."""

import subprocess
import sys

import hypothesis
from hypothesis import strategies as st
import pytest

from rrl_pipeline.environments import balloon_config

_NUMBERS = st.integers(0, 2**40)


@hypothesis.given(seed=_NUMBERS, episode=_NUMBERS)
def test_no_flight_of_training_is_one_of_a_suite(seed, episode):
  flight = balloon_config.BalloonConfig().flight_seed(seed, episode)
  # JAX makes its key of these bits.
  assert flight % 2**32 == flight
  assert flight >= 10_000


def test_the_suites_have_no_other_seeds():
  suites = pytest.importorskip(
      'balloon_learning_environment.eval.suites',
      reason="needs pip install '.[balloon]'")
  seeds = {seed for name in suites.available_suites()
           for seed in suites.get_eval_suite(name).seeds}
  assert seeds == set(range(balloon_config.SUITE_SEEDS))


def test_flights_differ_and_are_always_the_same():
  config = balloon_config.BalloonConfig()
  flights = {config.flight_seed(seed, episode)
             for seed in range(20) for episode in range(100)}
  assert len(flights) == 2000
  # Recorded data sets name these.
  assert [config.flight_seed(0, episode) for episode in range(3)] == [
      1421978654, 1848172260, 88639919]


def test_a_flight_has_a_step():
  with pytest.raises(ValueError, match='max_episode_steps must be at least 1'):
    balloon_config.BalloonConfig(max_episode_steps=0)


def test_settings_need_no_simulator():
  program = (
      'import sys\nfrom rrl_pipeline.environments import balloon_config\n'
      'print([name for name in ("balloon_learning_environment", "gym", "jax")'
      ' if name in sys.modules])')
  result = subprocess.run([sys.executable, '-c', program], text=True,
                          capture_output=True, check=True)
  assert result.stdout == '[]\n'
