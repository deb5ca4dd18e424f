"""Makes a teacher bundle of an agent that another project trained."""

import dataclasses
import os
import pathlib
import shutil
from typing import Iterator, Optional

import numpy as np

from rrl_pipeline import settings
from rrl_pipeline.agents import acting
from rrl_pipeline.environments import atari
from rrl_pipeline.environments import config as environment_config_lib
from rrl_pipeline.environments import environment as environment_lib
from rrl_pipeline.environments import factory
from rrl_pipeline.environments import random_returns
from rrl_pipeline.environments import wrappers
from rrl_pipeline.teachers import bundle
from rrl_pipeline.teachers import bundle_text
from rrl_pipeline.teachers import foreign_formats
from rrl_pipeline.teachers import foreign_network
from rrl_pipeline.teachers import foreign_teacher
from rrl_pipeline.teachers import numpy_forward
from rrl_pipeline.training import agent_export
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import evaluation
from rrl_pipeline.training import imported_network

_AGENT = 'imported'
# Each of random play and of noise, which reaches filters that play does not.
_NUM_OBSERVATIONS = 8
_STEPS_BETWEEN = 10
# Single precision against double: relative to the greatest value, and beside
# it. What differs are the orders of sums over some thousand inputs.
_TOLERANCE = 1e-4
_ABSOLUTE_TOLERANCE = 1e-6


@dataclasses.dataclass(frozen=True)
class ImportConfig:
  """What to import, and how.

  Attributes:
    path: of the agent's file or folder.
    output: folder of the bundle to make.
    environment: that it was trained for.
    format: of the files (see `foreign_formats.NAMES`); None to tell it.
    algorithm: of the agent (see `foreign_network.ALGORITHMS`); None to tell it.
    v_max: greatest of C51's atoms, where the files do not hold them.
    evaluate_episodes: episodes that are played for its score.
    seed: of these episodes.
  """

  path: str
  output: str
  environment: atari.AtariConfig
  format: Optional[str] = None
  algorithm: Optional[str] = None
  v_max: float = 10.0
  evaluate_episodes: int = 10
  seed: int = 0

  def __post_init__(self):
    if self.format not in (None, *foreign_formats.NAMES):
      raise ValueError(
          f'format must be one of {foreign_formats.NAMES}, got'
          f' {self.format!r}.'
      )
    if self.evaluate_episodes < 1:
      raise ValueError(
          'evaluate_episodes must be at least 1, got'
          f' {self.evaluate_episodes}: a teacher without a score cannot tell'
          ' how far a student is.'
      )


@dataclasses.dataclass(frozen=True)
class Agreement:
  """How far a bundle's values are from those that NumPy computes.

  Attributes:
    num_observations: that were compared.
    max_difference: greatest absolute difference of a value.
    max_value: greatest absolute value.
    num_same_actions: observations on which both take the same action.
  """

  num_observations: int
  max_difference: float
  max_value: float
  num_same_actions: int

  def __str__(self) -> str:
    return (
        f'bundle and NumPy differ by at most {self.max_difference:.1e} in'
        f' values up to {self.max_value:.3g}, and take the same action on'
        f' {self.num_same_actions} of {self.num_observations} observations of'
        ' random play and of noise'
    )

  @property
  def is_close(self) -> bool:
    return self.max_difference <= (
        _TOLERANCE * self.max_value + _ABSOLUTE_TOLERANCE
    )


def import_teacher(config: ImportConfig, command: str) -> Iterator[str]:
  """Imports an agent, checks what it computes, evaluates it, writes a bundle.

  Args:
    config: what and how.
    command: that imports it, for its lineage.

  Yields:
    What was found, done and made, a line each.

  Raises:
    ValueError: if there is no such agent, if it does not fit the environment,
      or if the bundle does not compute what the agent does.
  """
  output = pathlib.Path(config.output)
  if output.exists():
    raise ValueError(
        f'{output} is there already: remove it, or give another --output.'
    )
  interface = factory.interface(config.environment)
  random_return = random_returns.random_return(config.environment.task)
  found = foreign_formats.read(
      foreign_teacher.Question(
          pathlib.Path(config.path),
          interface.num_actions,
          config.algorithm,
          config.v_max,
      ),
      config.format,
  )
  files = ', '.join(file.name for file in found.files)
  yield f'found: an agent of {found.format} in {files}'
  yield from (f'  {finding}' for finding in found.findings)
  _check_fits(found.network, config.path, interface)
  made = imported_network.make(found.network, interface.observation_shape)
  shape = '×'.join(map(str, interface.observation_shape))
  yield (
      f'fits: {config.environment.task}, {interface.num_actions} actions,'
      f' observations {shape}; {found.network.num_parameters} parameters'
  )
  returns = _play(config, acting.GreedyPolicy(made.network))
  agreement = _export(config, command, found, made, returns)
  yield f'checked: {agreement}'
  yield (
      f'evaluated: mean return {returns.mean():.1f} over'
      f' {bundle_text.plural(len(returns), "episode")} ({random_return:g} by'
      ' random play)'
  )
  if returns.mean() <= random_return:
    yield (
        'warning: this is no better than random play, so that no student can'
        ' be taught by it'
    )
  yield f'written: {output}'


def _check_fits(
    network: foreign_network.ForeignNetwork,
    path: str,
    interface: environment_lib.Interface,
) -> None:
  *_, frame_size, stack_size = interface.observation_shape
  if network.stack_size != stack_size:
    raise ValueError(
        f'The network in {path} sees {network.stack_size} frames at once, the'
        f' environment gives {stack_size}. Give --set'
        f' stack_size={network.stack_size}.'
    )
  foreign_network.check(network, path, frame_size)


def _play(config: ImportConfig, policy: acting.GreedyPolicy) -> np.ndarray:
  """Returns of evaluation episodes, float64 [N]."""
  records = evaluation.evaluate(
      config.environment,
      _evaluation_config(config),
      policy,
      evaluation.Progress(_AGENT, _AGENT, config.seed, 0, 0),
      config.evaluate_episodes,
  )
  return np.array([record.episode_return for record in records])


def _evaluation_config(config: ImportConfig) -> config_lib.EvaluationConfig:
  return config_lib.EvaluationConfig(
      num_final_episodes=config.evaluate_episodes
  )


def _export(
    config: ImportConfig,
    command: str,
    found: foreign_teacher.ForeignTeacher,
    made: imported_network.ImportedNetwork,
    returns: np.ndarray,
) -> Agreement:
  """Writes the bundle; it gets its name once its values were checked."""
  interface = factory.interface(config.environment)
  steps = found.actor_steps
  description = bundle.Description(
      kind='q_values',
      observation_shape=interface.observation_shape,
      observation_dtype=interface.observation_dtype.name,
      action_meanings=interface.action_meanings,
      environment=environment_config_lib.to_json(config.environment),
      score=agent_export.score(
          returns, _evaluation_config(config).epsilon, config.environment.task
      ),
      lineage={
          'command': command,
          'imported': found.lineage(),
          'network': settings.to_json_value(made.network_config),
          'agent': {'algorithm': settings.to_json_value(made.algorithm)},
          'actor_steps': steps,
          'frames': steps and steps * config.environment.frame_skip,
          'teacher': None,
      },
  )
  output = pathlib.Path(config.output)
  output.parent.mkdir(parents=True, exist_ok=True)
  unchecked = output.with_name(f'{output.name}.unchecked')
  bundle.export(unchecked, made.network, description)
  agreement = compare(
      bundle.read(unchecked).load(), found.network, _observations(config)
  )
  if not agreement.is_close:
    shutil.rmtree(unchecked)
    raise ValueError(
        f'The import of {config.path} failed: {agreement}. The network is of a'
        ' kind that is not known here.'
    )
  os.rename(unchecked, output)
  return agreement


def compare(
    imported: bundle.BundleTeacher,
    network: foreign_network.ForeignNetwork,
    observations: np.ndarray,
) -> Agreement:
  """Compares a teacher with what NumPy makes of the weights it came from."""
  expected = numpy_forward.q_values(
      network, observations, imported_network.quantiles()
  )
  values = np.asarray(imported.values(observations))
  same = values.argmax(axis=1) == expected.argmax(axis=1)
  return Agreement(
      num_observations=len(observations),
      max_difference=float(np.abs(values - expected).max()),
      max_value=float(np.abs(expected).max()),
      num_same_actions=int(same.sum()),
  )


def _observations(config: ImportConfig) -> np.ndarray:
  """Observations [N, ...]: half of random play, half noise."""
  environment = factory.make(config.environment, config.seed)
  generator = np.random.default_rng(config.seed)
  stacker = wrappers.FrameStacker(
      environment.observation_spec(), config.environment.stack_size
  )
  seen = []
  timestep = environment.reset()
  observation = stacker.reset(timestep.observation)
  while len(seen) < _NUM_OBSERVATIONS:
    seen.append(observation.copy())
    for _ in range(_STEPS_BETWEEN):
      action = generator.integers(environment.action_spec().num_values)
      timestep = environment.step(int(action))
      push = stacker.reset if timestep.first() else stacker.push
      observation = push(timestep.observation)
  noise = generator.integers(0, 256, (len(seen), *seen[0].shape), np.uint8)
  return np.concatenate([np.stack(seen), noise])
