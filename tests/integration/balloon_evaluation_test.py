"""Tests that teachers fly in our environment as BLE's agents do in its own."""

import functools
import pathlib
import subprocess
import sys
import time
from typing import Any, Callable

import pytest

from rrl_pipeline.environments import balloon_compatibility
from rrl_pipeline.teachers import balloon
from rrl_pipeline.training import balloon_evaluation


@pytest.fixture(scope='module', name='originals')
def fixture_originals():
  pytest.importorskip(
      'balloon_learning_environment', reason='the originals: .[balloon]'
  )
  balloon_compatibility.install()
  from balloon_learning_environment.agents import perciatelli44  # pylint: disable=g-import-not-at-top
  from balloon_learning_environment.agents import station_seeker_agent  # pylint: disable=g-import-not-at-top
  from balloon_learning_environment.env import balloon_env  # pylint: disable=g-import-not-at-top

  return balloon_env.BalloonEnv(seed=0), {
      'perciatelli44': perciatelli44.Perciatelli44(3, (1099,)),
      'station_seeker': station_seeker_agent.StationSeekerAgent(3, (1099,)),
  }


@pytest.mark.parametrize(
    'name, seed', [('perciatelli44', 1), ('station_seeker', 2)]
)
def test_a_teacher_scores_as_in_the_original(originals, name, seed):
  from balloon_learning_environment.eval import eval_lib  # pylint: disable=g-import-not-at-top
  from balloon_learning_environment.eval import suites  # pylint: disable=g-import-not-at-top

  environment, agents = originals
  (expected,) = eval_lib.eval_agent(
      agents[name], environment, suites.EvaluationSuite([seed], 960)
  )
  pilot = balloon_evaluation.greedy_pilot(balloon.policy(name))
  score, course = balloon_evaluation.fly(
      name, pilot, balloon_evaluation.make_environment(), seed
  )
  assert score.time_within_radius == expected.time_within_radius > 0
  # Processors differ in the last digit of a sine, which a flight amplifies.
  assert score.episode_return == pytest.approx(
      expected.cumulative_reward, abs=1e-3
  )
  assert score.num_steps == expected.final_timestep == 960
  assert not (
      score.out_of_power or score.envelope_burst or score.zeropressure
  )
  assert course.time_within_radius == score.time_within_radius
  last = expected.flight_path[-1]
  assert course.position_km[-1] == pytest.approx(
      [last.x.kilometers, last.y.kilometers], abs=1e-3
  )


def test_a_suite_is_flown_in_processes(originals, tmp_path):
  del originals  # It is the package that is needed.
  config = balloon_evaluation.SuiteConfig('tiny', num_processes=2)
  make = functools.partial(balloon_evaluation.make_player, 'random_walk')
  scores = balloon_evaluation.evaluate(
      tmp_path / 'scores.jsonl', 'random_walk', make, config, num_seeds=2
  )
  environment = balloon_evaluation.make_environment()
  expected, _ = balloon_evaluation.fly(
      'random_walk', balloon_evaluation.random_walk_pilot, environment, 1
  )
  assert scores[1] == expected
  assert [score.seed for score in scores] == [0, 1]


def test_what_a_process_cannot_load_is_one_clear_error(originals, tmp_path):
  del originals
  make = functools.partial(
      balloon_evaluation.make_player, str(tmp_path / 'nothing')
  )
  with pytest.raises(ValueError, match='There is no teacher'):
    balloon_evaluation.evaluate(
        tmp_path / 'scores.jsonl',
        'student',
        make,
        balloon_evaluation.SuiteConfig('micro', num_processes=1),
    )


_EVALUATE = """
import functools
from rrl_pipeline.training import balloon_evaluation

if __name__ == '__main__':
  balloon_evaluation.evaluate(
      {path!r},
      'random_walk',
      functools.partial(balloon_evaluation.make_player, 'random_walk'),
      balloon_evaluation.SuiteConfig('tiny', num_processes=1),
  )
"""


def test_processes_end_with_a_killed_parent(originals, tmp_path):
  del originals
  program = tmp_path / 'program.py'
  program.write_text(_EVALUATE.format(path=str(tmp_path / 'scores.jsonl')))
  parent = subprocess.Popen(
      [sys.executable, program], stderr=subprocess.DEVNULL
  )
  children = _wait_for(lambda: _flying(parent.pid))
  parent.kill()
  parent.wait()
  _wait_for(lambda: not any(map(_is_running, children)))


def _flying(parent: int) -> list[int]:
  """The children that fly, by their identifiers; another tracks resources."""
  children = pathlib.Path(f'/proc/{parent}/task/{parent}/children').read_text()
  return [
      int(child)
      for child in children.split()
      if b'spawn_main' in pathlib.Path(f'/proc/{child}/cmdline').read_bytes()
      and len(list(pathlib.Path(f'/proc/{child}/task').iterdir())) > 1
  ]


def _is_running(process: int) -> bool:
  try:
    stat = pathlib.Path(f'/proc/{process}/stat').read_text()
  except (FileNotFoundError, ProcessLookupError):
    return False
  # Z: it has ended, and nobody has asked how.
  return stat.rpartition(')')[2].split()[0] != 'Z'


def _wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
  end = time.monotonic() + seconds
  while time.monotonic() < end:
    value = condition()
    if value:
      return value
    time.sleep(0.1)
  raise AssertionError('it did not happen in time')
