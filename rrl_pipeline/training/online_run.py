"""How far an agent's online training is, in memory and on disk.

The loop of one process holds one of these, and so does the learner among
several processes. Both write the same files, so either goes on from what the
other left.
"""

import sys

from rrl_pipeline.agents import acting
from rrl_pipeline.training import checkpointing
from rrl_pipeline.training import evaluation
from rrl_pipeline.training import metric_log
from rrl_pipeline.training import online_learner
from rrl_pipeline.training import online_replay
from rrl_pipeline.training import online_setup
from rrl_pipeline.training import seeding
from rrl_pipeline.training import timing
from rrl_pipeline.training import weight_snapshots


class OnlineRun:
  """The online training of one agent.

  Attributes:
    learner: the networks, the replay that they learn from, and their weaning.
    evaluations: that were made.
    snapshots: weights that are still to be evaluated.
    actor_steps: agent steps that were taken.
    stored_steps: those of them that are or were in the replay: all but what an
      interrupted run of several actors lost.
    episodes: that were played.
    checkpoint_steps: agent steps as of the newest checkpoint; 0 without one.
    training_return: raw return of the latest episode; NaN before.
    realised_value: of the latest episode, see `diagnostics.realised_value`.
  """

  def __init__(
      self, setup: online_setup.OnlineSetup, stopwatch: timing.Stopwatch
  ):
    """Opens the run as it was at its newest checkpoint, if there is one.

    Args:
      setup: what it begins with.
      stopwatch: measures where the time goes.

    Raises:
      ValueError: if the checkpoints are damaged or do not fit, or if there is
        no space for them.
    """
    directory = setup.directory
    self._agent = setup.agent
    self._environment_config = setup.environment_config
    self._agent_config = setup.agent_config
    self._config = setup.config
    self._replay = online_replay.OnlineReplay(
        directory,
        setup.environment_config,
        setup.agent_config,
        setup.config.num_actor_steps,
        seeding.derive(setup.seed, setup.agent, 'replay'),
        setup.data,
    )
    self.learner = online_learner.OnlineLearner(
        setup.agent_config,
        setup.learner,
        self._replay,
        setup.guidance,
        stopwatch,
    )
    self._checkpointer = checkpointing.Checkpointer(
        directory / 'checkpoints', setup.learner.state
    )
    self.evaluations = evaluation.EvaluationLog(directory)
    self.snapshots = weight_snapshots.WeightSnapshots(directory / 'snapshots')
    self._metrics = metric_log.MetricLog(directory)
    self._first_step = self.learner.num_steps
    self.actor_steps = self.stored_steps = self.episodes = 0
    self.checkpoint_steps = 0
    self.training_return = self.realised_value = float('nan')
    self._clock = timing.Clock()
    self._restore()
    self.learner.wean(self.evaluations)

  @property
  def may_learn(self) -> bool:
    """Whether the replay holds enough to learn from."""
    held = self._replay.num_initial + self.stored_steps
    return held >= self._agent_config.min_replay_steps

  @property
  def is_evaluation_due(self) -> bool:
    """Whether the weights of now must be evaluated."""
    total = self._config.num_actor_steps
    return (
        self.actor_steps % self._config.evaluation_period == 0
        or self.actor_steps == total
    )

  @property
  def is_checkpoint_due(self) -> bool:
    """Whether the newest one is as old as it may become."""
    due = self.checkpoint_steps + self._config.checkpoint_period
    return self.actor_steps >= min(due, self._config.num_actor_steps)

  @property
  def frames(self) -> int:
    """Of the environment, in the agent steps that were taken."""
    return self.actor_steps * self._environment_config.frame_skip

  def counts(self) -> dict[str, float]:
    """What the agent has done online, and the time that it took."""
    return {
        'actor_steps': self.actor_steps,
        'stored_steps': self.stored_steps,
        'frames': self.frames,
        'learner_steps': self.learner.num_steps - self._first_step,
        'episodes': self.episodes,
        **self._clock.total(),
    }

  def write_metrics(self, **further: float) -> bool:
    """Writes what updates did since the last call; False if there was none."""
    values = self.learner.take_metrics(self.actor_steps)
    if not values:
      return False
    self._metrics.write(
        self.learner.num_steps,
        {
            **values,
            'actor_steps': self.actor_steps,
            'frames': self.frames,
            'epsilon': acting.epsilon(self._agent_config, self.actor_steps),
            'training_return': self.training_return,
            # Q-values above what follows them are too high.
            'realised_value': self.realised_value,
            'overestimation': values['mean_q'] - self.realised_value,
            **further,
        },
    )
    return True

  def save(self) -> None:
    """Takes a checkpoint, unless nothing was done since the newest one.

    Raises:
      OSError: it could not be written; the newest one is as it was.
    """
    if self.actor_steps == self.checkpoint_steps:
      return
    with self._checkpointer.explained(self.actor_steps):
      files, arrays = self._replay.save()
    self._checkpointer.save(
        self.actor_steps,
        {
            'actor_steps': self.actor_steps,
            'stored_steps': self.stored_steps,
            'episodes': self.episodes,
            'rows': self._replay.store.num_added,
            'training_return': self.training_return,
            'realised_value': self.realised_value,
            **self._clock.total(),
        },
        arrays,
        files,
    )
    self.checkpoint_steps = self.actor_steps

  def _restore(self) -> None:
    checkpoint = self._checkpointer.restore()
    if checkpoint is None:
      self._say(
          self._checkpointer.describe_space(
              self._agent, self._replay.max_bytes
          )
      )
      if self.evaluations.records or self._metrics.last_step >= 0:
        self._say(
            f'{self._agent}: was interrupted before its first checkpoint, and'
            ' begins anew'
        )
      # Nor may rows of an attempt that ended before its first checkpoint stay.
      self._replay.restore()
    else:
      state = checkpoint.state
      self.actor_steps = self.checkpoint_steps = state['actor_steps']
      self.stored_steps = state['stored_steps']
      self.episodes = state['episodes']
      self.training_return = state['training_return']
      self.realised_value = state['realised_value']
      self._clock = timing.Clock(state['wall_seconds'], state['cpu_seconds'])
      self._replay.restore(state['rows'], checkpoint.arrays)
      if self.actor_steps < self._config.num_actor_steps:
        self._say(
            f'{self._agent}: goes on from step {self.actor_steps:,}; what was'
            ' played after it, an episode in flight included, is discarded'
        )
    learner_steps = self.learner.num_steps
    self.evaluations.truncate_after(learner_steps, self.actor_steps)
    self._metrics.truncate_after(learner_steps)
    self.snapshots.truncate_after(self.actor_steps)
    for records in self.evaluations.evaluations():
      # It may have ended just after it took these.
      self.snapshots.discard(records[0].actor_steps)

  def _say(self, text: str) -> None:
    print(text, file=sys.stderr, flush=True)
