"""The offline stage: pre-training on the teacher's logged data."""

import os
import pathlib
import sys

import numpy as np

from rrl_pipeline import stopping
from rrl_pipeline.agents import acting
from rrl_pipeline.agents import config as agent_config_lib
from rrl_pipeline.agents import learning
from rrl_pipeline.environments import config as environment_config_lib
from rrl_pipeline.replay import transition_source
from rrl_pipeline.training import checkpointing
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import evaluation
from rrl_pipeline.training import learner_metrics
from rrl_pipeline.training import metric_log
from rrl_pipeline.training import progress as progress_lib
from rrl_pipeline.training import seeding
from rrl_pipeline.training import timing

_AGENT = 'student'


class OfflineTrainer:
  """Trains the student on a dataset, resuming from its newest checkpoint."""

  def __init__(
      self,
      directory: str | os.PathLike,
      environment_config: environment_config_lib.EnvironmentConfig,
      agent_config: agent_config_lib.AgentConfig,
      config: config_lib.OfflineConfig,
      evaluation_config: config_lib.EvaluationConfig,
      learner: learning.Learner,
      source: transition_source.TransitionSource,
      seed: int,
  ):
    """Opens the stage.

    Args:
      directory: of its records and checkpoints.
      environment_config: of the environment that the student is evaluated in.
      agent_config: how it learns.
      config: for how long.
      evaluation_config: how it is evaluated.
      learner: its networks, as they are when the stage begins.
      source: gives transitions of the dataset, with the teacher's values.
      seed: of the run.
    """
    directory = pathlib.Path(directory)
    self._environment_config = environment_config
    self._agent_config = agent_config
    self._config = config
    self._evaluation_config = evaluation_config
    self._learner = learner
    self._source = source
    self._seed = seed
    self._policy = acting.GreedyPolicy(learner.network)
    self._checkpointer = checkpointing.Checkpointer(
        checkpoints(directory), learner.state
    )
    self.evaluations = evaluation.EvaluationLog(directory)
    self._metrics = metric_log.MetricLog(directory)
    self._means = learner_metrics.MeanMetrics()
    self.stopwatch = timing.Stopwatch()
    if self._checkpointer.restore() is None:
      print(self._checkpointer.describe_space(_AGENT), file=sys.stderr)
    steps = int(learner.num_steps)
    self._checkpoint_step = steps
    self.evaluations.truncate_after(steps, 0)
    self._metrics.truncate_after(steps)

  def run(self) -> None:
    """Trains until `num_learner_steps` are done.

    Raises:
      Stopped: if it was asked to; a checkpoint was taken.
    """
    config = self._config
    total, start = config.num_learner_steps, int(self._learner.num_steps)
    with stopping.listen() as self._stop, progress_lib.progress(
        total, start, 'offline', 'updates'
    ) as progress:
      self._evaluate_if_due(start)
      for step in range(start + 1, total + 1):
        self._learn(step)
        progress.update(1)
        self._evaluate_if_due(step)
        if step == total or step % config.checkpoint_period == 0:
          self._save(step)
        elif step % config.log_period == 0:
          self._write_metrics(step)
        self._stop_if_asked(step)

  def _learn(self, step: int) -> None:
    config = self._agent_config
    with self.stopwatch.measure('replay'):
      transitions = self._source.sample(
          config.batch_size,
          config.n_step,
          config.discount,
          seeding.derive(self._seed, _AGENT, 'offline'),
          step,
      )
    with self.stopwatch.measure('learner'):
      self._means.add(
          self._learner.update(
              transitions, _loss_weights(config), config.learning_rate
          ).metrics
      )

  def _evaluate_if_due(self, step: int) -> None:
    """Evaluates, unless the run was stopped after it had done so."""
    is_due = step and step % self._config.evaluation_period == 0
    is_due = is_due or step == self._config.num_learner_steps
    if not is_due or any(
        record.learner_steps == step for record in self.evaluations.records
    ):
      return

    def policy(observations: np.ndarray) -> np.ndarray:
      self._stop_if_asked(step)
      return self._policy(observations)

    with self.stopwatch.measure('evaluation'):
      records = evaluation.evaluate(
          self._environment_config,
          self._evaluation_config,
          policy,
          evaluation.Progress(
              agent=_AGENT,
              stage='offline',
              seed=self._seed,
              learner_steps=step,
              actor_steps=0,
          ),
          self._evaluation_config.num_episodes,
      )
    self.evaluations.append(records)

  def _stop_if_asked(self, step: int) -> None:
    """Ends with a checkpoint; an evaluation under way is made later."""
    if self._stop.is_made:
      self._save(step)
      self._stop.stop()

  def _save(self, step: int) -> None:
    if step == self._checkpoint_step:
      return
    self._write_metrics(step)
    self._checkpointer.save(step, {})
    self._checkpoint_step = step

  def _write_metrics(self, step: int) -> None:
    values = self._means.take()
    if not values:
      return
    weights = _loss_weights(self._agent_config)
    values |= {
        'distillation_weight': weights.distillation,
        'learning_rate': self._agent_config.learning_rate,
    }
    if weights.margin:
      values['margin_weight'] = weights.margin
    if weights.conservative:
      values['conservative_weight'] = weights.conservative
    self._metrics.write(step, values)


def _loss_weights(
    config: agent_config_lib.AgentConfig,
) -> learning.LossWeights:
  """The weights of the terms offline, where nothing decays."""
  return learning.LossWeights(
      config.td_weight,
      config.distillation_weight,
      config.margin_weight,
      config.conservative_weight,
  )


def checkpoints(directory: str | os.PathLike) -> pathlib.Path:
  """Where the stage in `directory` keeps its checkpoints."""
  return pathlib.Path(directory) / 'checkpoints'
