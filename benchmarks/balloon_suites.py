"""Perciatelli44 and StationSeeker, by this project and by BLE itself.

    python benchmarks/balloon_suites.py --scores=FILE [--suite=small]
        [--num_seeds=N] [--num_processes=2]

Flies each agent twice on the seeds of a suite of the Balloon Learning
Environment (BLE): BLE's own agent in BLE's own environment, and this project's
teacher in this project's environment. Both are played and scored by BLE's
eval_lib. Prints the means and the largest difference on any seed. Scores are
added to FILE as they come: an interrupted table goes on where it was.

One flight takes about 4 s in this project's environment and 8 to 11 s in
BLE's; the table of 100 seeds takes about three quarters of a core-hour.
"""

import functools
import time
from typing import Any

from absl import app
from absl import flags
from absl import logging
import numpy as np

from rrl_pipeline.environments import balloon_compatibility
from rrl_pipeline.environments import balloon_flights
from rrl_pipeline.reports import balloon_scores
from rrl_pipeline.teachers import balloon
from rrl_pipeline.training import balloon_evaluation

_SCORES = flags.DEFINE_string(
    'scores', None, 'File of JSON lines.', required=True
)
_SUITE = flags.DEFINE_enum(
    'suite', 'small', balloon_evaluation.SUITES, 'What is flown.'
)
_NUM_SEEDS = flags.DEFINE_integer(
    'num_seeds', None, 'Only the first seeds of the suite.', lower_bound=1
)
_NUM_PROCESSES = flags.DEFINE_integer(
    'num_processes', 2, 'Flights at a time.', lower_bound=1
)
_RESAMPLES = 2_000


def _original(name: str) -> tuple[balloon_evaluation.Pilot, Any]:
  """BLE's own agent in BLE's own environment."""
  balloon_compatibility.install()
  from balloon_learning_environment.agents import perciatelli44  # pylint: disable=g-import-not-at-top
  from balloon_learning_environment.agents import station_seeker_agent  # pylint: disable=g-import-not-at-top
  from balloon_learning_environment.env import balloon_env  # pylint: disable=g-import-not-at-top

  agents = {
      'perciatelli44': perciatelli44.Perciatelli44,
      'station_seeker': station_seeker_agent.StationSeekerAgent,
  }
  agent = agents[name](3, (1099,))
  return (
      lambda seed: lambda observation: agent.step(0.0, observation),
      balloon_env.BalloonEnv(seed=0),
  )


def _print_agreement(
    name: str,
    ours: list[balloon_flights.FlightScore],
    originals: list[balloon_flights.FlightScore],
) -> None:
  times, returns = (
      np.array([
          [getattr(flight, field) for flight in flights]
          for flights in (ours, originals)
      ])
      for field in ('time_within_radius', 'episode_return')
  )
  ends = sum(
      (a.num_steps, a.out_of_power, a.envelope_burst, a.zeropressure)
      != (b.num_steps, b.out_of_power, b.envelope_burst, b.zeropressure)
      for a, b in zip(ours, originals, strict=True)
  )
  print(
      f'{name}: of {len(ours)} seeds, TWR50 differs on'
      f' {np.sum(times[0] != times[1])}'
      f' (at most {100 * np.max(np.abs(times[0] - times[1])):.2f} points),'
      f' the end of the flight on {ends}; returns differ by at most'
      f' {np.max(np.abs(returns[0] - returns[1])):.1e}'
  )


def main(argv):
  del argv
  # rliable announces every estimate.
  logging.set_verbosity(logging.WARNING)
  config = balloon_evaluation.SuiteConfig(_SUITE.value, _NUM_PROCESSES.value)
  flights = {}
  for name in balloon.NAMES:
    for agent, make in (
        (name, functools.partial(balloon_evaluation.make_player, name)),
        (f'{name} of BLE', functools.partial(_original, name)),
    ):
      start = time.perf_counter()
      flights[agent] = balloon_evaluation.evaluate(
          _SCORES.value, agent, make, config, _NUM_SEEDS.value
      )
      print(f'{agent}: {time.perf_counter() - start:.0f} s')
  for name in balloon.NAMES:
    _print_agreement(name, flights[name], flights[f'{name} of BLE'])
  everything = [flight for agent in flights.values() for flight in agent]
  print(balloon_scores.table(balloon_scores.compare(everything, _RESAMPLES)))


if __name__ == '__main__':
  app.run(main)
