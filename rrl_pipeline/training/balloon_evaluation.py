"""Evaluation on the suites of the Balloon Learning Environment (BLE).

The flights are played and scored by BLE's own `eval_lib`; only the environment
is the faster one. A suite is a list of seeds, from 0 on, of 960 steps each.
"""

from concurrent import futures
import dataclasses
import functools
import multiprocessing
import os
import threading
from typing import Any, Callable, Iterator, Optional

import numpy as np
import tensorflow as tf

from rrl_pipeline.environments import balloon_compatibility
from rrl_pipeline.environments import balloon_flights
from rrl_pipeline.environments import balloon_policies
from rrl_pipeline.teachers import balloon
from rrl_pipeline.teachers import bundle
from rrl_pipeline.training import progress as progress_lib

RANDOM_WALK = 'random_walk'
SUITES = ('micro', 'tiny', 'small', 'medium', 'big')
MAX_STEPS = 960

# The seed of a flight → its policy: float32 [1099] → action.
Pilot = Callable[[int], Callable[[np.ndarray], int]]
# Makes a pilot and a `BalloonEnv`; it is sent to other processes.
MakePlayer = Callable[[], tuple[Pilot, Any]]

# Of a process that flies, once it is started.
_player: Optional[MakePlayer] = None


@dataclasses.dataclass(frozen=True)
class SuiteConfig:
  """What is flown, and how many flights at a time.

  Attributes:
    suite: 'micro' (1 seed), 'tiny' (10), 'small' (100), 'medium' (1,000) or
      'big' (10,000).
    num_processes: that fly, each one flight at a time, with 0.9 GB of memory.
  """

  suite: str = 'small'
  num_processes: int = 2

  def __post_init__(self):
    if self.suite not in SUITES:
      raise ValueError(f'suite must be one of {SUITES}, got {self.suite!r}.')
    if self.num_processes < 1:
      raise ValueError(
          f'num_processes must be at least 1, got {self.num_processes}.'
      )


def greedy_pilot(policy: Callable[[np.ndarray], np.ndarray]) -> Pilot:
  """A pilot from a policy of batches: float32 [B, 1099] → actions [B]."""
  return lambda seed: lambda observation: int(policy(observation[None])[0])


def random_walk_pilot(seed: int) -> Callable[[np.ndarray], int]:
  """The random walk; a `Pilot`. Each flight has its own random numbers."""
  walk = balloon_policies.RandomWalk()
  walk.start(np.random.Generator(np.random.Philox(key=[0, seed])))
  return walk.action


def load_pilot(name: str) -> Pilot:
  """The random walk or a teacher by its name, or a bundle by its folder.

  Raises:
    ValueError: there is no such teacher, or its bundle is damaged.
  """
  if name == RANDOM_WALK:
    return random_walk_pilot
  if name in balloon.NAMES:
    return greedy_pilot(balloon.policy(name))
  return greedy_pilot(bundle.read(bundle.find(name)).load().actions)


def make_player(name: str) -> tuple[Pilot, Any]:
  """The pilot of this name (see `load_pilot`) in the faster environment."""
  return load_pilot(name), make_environment()


def suite_seeds(suite: str) -> list[int]:
  """The seeds of a suite, as BLE lists them."""
  balloon_compatibility.install()
  from balloon_learning_environment.eval import suites  # pylint: disable=g-import-not-at-top

  return list(suites.get_eval_suite(f'{suite}_eval').seeds)


def fly(
    agent: str, pilot: Pilot, environment: Any, seed: int
) -> tuple[balloon_flights.FlightScore, balloon_flights.Course]:
  """Flies one seed as BLE's evaluation does.

  Args:
    agent: name of who flies.
    pilot: who flies.
    environment: a `BalloonEnv` of BLE.
    seed: of the flight.
  """
  balloon_compatibility.install()
  from balloon_learning_environment.eval import eval_lib  # pylint: disable=g-import-not-at-top
  from balloon_learning_environment.eval import suites  # pylint: disable=g-import-not-at-top

  recorder = _Recorder(agent, pilot(seed), environment)
  suite = suites.EvaluationSuite([seed], MAX_STEPS)
  (result,) = eval_lib.eval_agent(recorder, environment, suite)
  score = balloon_flights.FlightScore(
      agent=agent,
      seed=seed,
      episode_return=float(result.cumulative_reward),
      time_within_radius=float(result.time_within_radius),
      out_of_power=bool(result.out_of_power),
      envelope_burst=bool(result.envelope_burst),
      zeropressure=bool(result.zeropressure),
      num_steps=result.final_timestep,
  )
  return score, recorder.course(seed)


def evaluate(
    path: str | os.PathLike,
    agent: str,
    make: MakePlayer,
    config: SuiteConfig,
    num_seeds: Optional[int] = None,
) -> list[balloon_flights.FlightScore]:
  """Flies the seeds of a suite that a file does not hold yet.

  Args:
    path: of the file of scores; each is added as soon as it is known, so that
      an interrupted evaluation goes on where it was.
    agent: name under which the scores are kept.
    make: makes who flies and what, once in each process, for example
      `functools.partial(make_player, 'random_walk')`.
    config: what is flown.
    num_seeds: the first ones of the suite; all if None.

  Returns:
    The scores of the agent on these seeds, in their order.
  """
  file = balloon_flights.ScoreFile(path)
  known = balloon_flights.by_agent(file.scores).get(agent, {})
  seeds = suite_seeds(config.suite)[:num_seeds]
  missing = [seed for seed in seeds if seed not in known]
  with progress_lib.progress(
      len(seeds), len(seeds) - len(missing), f'flying {agent}', 'flights'
  ) as progress:
    for score in _fly_all(agent, make, missing, config.num_processes):
      file.append(score)
      progress.update(1)
  scores = balloon_flights.by_agent(file.scores).get(agent, {})
  return [scores[seed] for seed in seeds]


def _fly_all(
    agent: str, make: MakePlayer, seeds: list[int], num_processes: int
) -> Iterator[balloon_flights.FlightScore]:
  """Yields scores as they come."""
  if not seeds:
    return
  # A forked child of a process that has used JAX would hang.
  with futures.ProcessPoolExecutor(
      min(num_processes, len(seeds)),
      mp_context=multiprocessing.get_context('spawn'),
      initializer=_start_worker,
      initargs=(make,),
  ) as pool:
    flights = [pool.submit(_fly_in_worker, agent, seed) for seed in seeds]
    try:
      for flight in futures.as_completed(flights):
        yield flight.result()
    finally:
      pool.shutdown(cancel_futures=True)


def _start_worker(make: MakePlayer) -> None:
  global _player
  # One thread for each process, and no graphics memory for JAX.
  os.environ.setdefault('JAX_PLATFORMS', 'cpu')
  tf.config.threading.set_intra_op_parallelism_threads(1)
  tf.config.threading.set_inter_op_parallelism_threads(1)
  # Made with the first flight, which can say what is wrong; this cannot.
  _player = functools.cache(make)
  threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
  """Ends this process when its parent is killed: nobody else would."""
  multiprocessing.parent_process().join()
  os._exit(1)  # pylint: disable=protected-access


def _fly_in_worker(agent: str, seed: int) -> balloon_flights.FlightScore:
  score, _ = fly(agent, *_player(), seed)
  return score


def make_environment() -> Any:
  """The `BalloonEnv` of BLE, with the faster parts of this project."""
  balloon_compatibility.install()
  from rrl_pipeline.environments import balloon as environment  # pylint: disable=g-import-not-at-top

  return environment.simulator()


class _Recorder:
  """An agent as BLE's evaluation wants it, which keeps the course."""

  def __init__(
      self,
      name: str,
      policy: Callable[[np.ndarray], int],
      environment: Any,
  ):
    self._name = name
    self._policy = policy
    self._environment = environment
    self._states = []
    self._actions = []

  def get_name(self) -> str:
    return self._name

  def set_mode(self, mode: Any) -> None:
    """A pilot does not learn, whatever the mode."""

  def begin_episode(self, observation: np.ndarray) -> int:
    return self._act(observation)

  def step(self, reward: float, observation: np.ndarray) -> int:
    del reward
    return self._act(observation)

  def end_episode(self, reward: float, terminal: bool) -> None:
    """Nothing is left to do."""

  def course(self, seed: int) -> balloon_flights.Course:
    states = np.array(self._states)
    return balloon_flights.Course(
        seed=seed,
        agent=self._name,
        seconds_per_step=balloon_policies.SECONDS_PER_STEP,
        position_km=states[:, :2],
        altitude_km=states[:, 2],
        battery=states[:, 3],
        # The last one was chosen after the last step.
        actions=np.array(self._actions[:-1], np.int32),
    )

  def _act(self, observation: np.ndarray) -> int:
    state = self._environment.get_simulator_state()
    balloon = state.balloon_state
    altitude = state.atmosphere.at_pressure(balloon.pressure).height
    self._states.append((
        balloon.x.kilometers,
        balloon.y.kilometers,
        altitude.kilometers,
        balloon.battery_soc,
    ))
    self._actions.append(self._policy(observation))
    return self._actions[-1]
