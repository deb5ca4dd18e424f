"""The learner's side of the online stage.

Reads an actor's steps from Reverb, samples transitions of them, updates the
networks and weans them off the teacher.
"""

import os
import pathlib
from typing import Optional

import reverb

from rrl_pipeline.agents import config as agent_config_lib
from rrl_pipeline.agents import learning
from rrl_pipeline.agents import weaning
from rrl_pipeline.environments import config as environment_config_lib
from rrl_pipeline.environments import factory
from rrl_pipeline.replay import frame_store
from rrl_pipeline.replay import streams
from rrl_pipeline.training import checkpointing
from rrl_pipeline.training import evaluation
from rrl_pipeline.training import guidance as guidance_lib
from rrl_pipeline.training import learner_metrics
from rrl_pipeline.training import timing


class OnlineLearner:
  """A learner, the replay it draws from, and the state of its weaning.

  Attributes:
    learner: the networks and their optimiser.
    store: the latest steps.
    means: of the metrics of updates.
  """

  def __init__(
      self,
      directory: str | os.PathLike,
      environment_config: environment_config_lib.EnvironmentConfig,
      agent_config: agent_config_lib.AgentConfig,
      learner: learning.Learner,
      capacity: int,
      seed: int,
      guidance: Optional[guidance_lib.Guidance],
      stopwatch: timing.Stopwatch,
  ):
    """Makes a learner with an empty replay.

    Args:
      directory: where the replay is kept for a resumed run.
      environment_config: how frames are stacked and rewards clipped.
      agent_config: how it learns.
      learner: its networks.
      capacity: steps that the replay holds.
      seed: of the batches.
      guidance: the teacher, if there is one.
      stopwatch: measures where the time goes.
    """
    interface = factory.interface(environment_config)
    self.learner = learner
    self.store = frame_store.FrameStore(
        capacity,
        interface.frame.shape,
        interface.num_actions,
        environment_config.stack_size,
        interface.frame.dtype,
        environment_config.reward_limit,
    )
    self.means = learner_metrics.MeanMetrics()
    self._agent_config = agent_config
    self._seed = seed
    self._guidance = guidance
    self._stopwatch = stopwatch
    self._row_log = checkpointing.RowLog(pathlib.Path(directory) / 'rows')
    self._oldest_kept = 0
    self._decay = 0.0

  @property
  def num_steps(self) -> int:
    return int(self.learner.num_steps)

  @property
  def distillation_weight(self) -> float:
    """λ now."""
    return self._agent_config.distillation_weight * self._decay

  def learning_rate(self, actor_steps: int) -> float:
    """The optimiser's learning rate after this many agent steps."""
    config = self._agent_config
    if self._guidance is None:
      if actor_steps < config.weaning_steps:
        return config.learning_rate
      return config.weaned_learning_rate
    return weaning.learning_rate(
        self._decay, config.learning_rate, config.weaned_learning_rate
    )

  def wean(self, evaluations: evaluation.EvaluationLog) -> None:
    """Derives the state of weaning from all that was recorded.

    A resumed run cannot miss anything this way.
    """
    if self._guidance is None:
      return
    self._decay = weaning.decay(
        (
            (
                records[0].actor_steps,
                self._guidance.scale.normalise(
                    evaluation.mean_return(records)
                ),
            )
            for records in evaluations.evaluations()
        ),
        self._agent_config.weaning_steps,
    )

  def connect(self, client: reverb.Client) -> None:
    """Takes steps from this server from now on."""
    self._stream = streams.StepStream(client)

  def read(self, num_written: int) -> None:
    """Reads steps until it has read `num_written` from this server."""
    unread = num_written - self._stream.num_read
    if unread:
      self.store.extend(self._stream.read(unread))

  def update(self, actor_steps: int) -> None:
    """One update of the networks."""
    config = self._agent_config
    with self._stopwatch.measure('replay'):
      transitions = self.store.sample(
          config.batch_size,
          config.n_step,
          config.discount,
          self._seed,
          self.num_steps,
      )
    with self._stopwatch.measure('learner'):
      self.means.add(
          self.learner.step(
              transitions,
              self.distillation_weight,
              self.learning_rate(actor_steps),
          )
      )

  def save_replay(self) -> None:
    """Makes the replay durable, for the checkpoint that comes next."""
    self._row_log.save(self.store, self._oldest_kept)
    self._oldest_kept = self.store.oldest

  def restore_replay(self, num_added: int) -> None:
    """Fills the replay with what it held when `num_added` rows had come."""
    self._row_log.restore(self.store, num_added)
    self._oldest_kept = self.store.oldest
