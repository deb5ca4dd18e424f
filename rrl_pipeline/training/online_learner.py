"""The learner's side of the online stage.

Reads an actor's steps from Reverb, draws transitions of them, updates the
networks and weans them off the teacher.
"""

from typing import Optional

import reverb

from rrl_pipeline.agents import acting
from rrl_pipeline.agents import config as agent_config_lib
from rrl_pipeline.agents import learning
from rrl_pipeline.agents import weaning
from rrl_pipeline.replay import streams
from rrl_pipeline.training import evaluation
from rrl_pipeline.training import guidance as guidance_lib
from rrl_pipeline.training import learner_metrics
from rrl_pipeline.training import online_replay
from rrl_pipeline.training import timing

# Without the teacher's values these compare with nothing.
_OF_TEACHER = ('distillation_loss', 'teacher_agreement', 'margin_loss')


class OnlineLearner:
  """A learner, the replay it draws from, and the state of its weaning.

  Attributes:
    learner: the networks and their optimiser.
    replay: the latest steps.
    horizon: α of the roll-in of the episodes to begin; 0 for none.
  """

  def __init__(
      self,
      agent_config: agent_config_lib.AgentConfig,
      learner: learning.Learner,
      replay: online_replay.OnlineReplay,
      guidance: Optional[guidance_lib.Guidance],
      stopwatch: timing.Stopwatch,
  ):
    """Makes a learner.

    Args:
      agent_config: how it learns.
      learner: its networks.
      replay: what it learns from.
      guidance: the teacher, if there is one.
      stopwatch: measures where the time goes.
    """
    self.learner = learner
    self.replay = replay
    self._agent_config = agent_config
    self._guidance = guidance
    self._stopwatch = stopwatch
    self._means = learner_metrics.MeanMetrics()
    self._ratios: list[tuple[int, float]] = []
    self._decay_of_scores = 1.0
    self.horizon = acting.horizon(agent_config.roll_in, 0)

  @property
  def num_steps(self) -> int:
    return int(self.learner.num_steps)

  def wean(self, evaluations: evaluation.EvaluationLog) -> None:
    """Derives the state of weaning from all that was recorded.

    A resumed run cannot miss anything this way.
    """
    groups = evaluations.evaluations()
    self.horizon = acting.horizon(self._agent_config.roll_in, len(groups))
    config = self._agent_config.weaning
    if config.schedule != 'score':
      return
    self._ratios = [
        (
            records[0].actor_steps,
            self._guidance.ratio(
                evaluation.mean_return(records), config.ratio
            ),
        )
        for records in groups
    ]
    self._decay_of_scores = weaning.score_decay(
        config, (ratio for _, ratio in self._ratios)
    )

  def asks_teacher(self, actor_steps: int) -> bool:
    """Whether steps must come with the teacher's values."""
    return (
        self._agent_config.learns_from_teacher
        and self._weaned_at(actor_steps) is None
    )

  def learning_rate(self, actor_steps: int) -> float:
    """The optimiser's learning rate after this many agent steps."""
    return weaning.learning_rate(
        self._decay(actor_steps),
        self._agent_config.learning_rate,
        self._agent_config.weaned_learning_rate,
    )

  def loss_weights(self, actor_steps: int) -> learning.LossWeights:
    """The weights of the terms after this many agent steps."""
    config, decay = self._agent_config, self._decay(actor_steps)
    return learning.LossWeights(
        td=config.td_weight,
        distillation=config.distillation_weight * decay,
        margin=config.margin_weight * decay,
    )

  def connect(self, client: reverb.Client) -> None:
    """Takes steps from this server from now on."""
    self._stream = streams.StepStream(client)

  def read(self, num_written: int) -> None:
    """Reads steps until it has read `num_written` from this server."""
    unread = num_written - self._stream.num_read
    if unread:
      self.replay.store.extend(self._stream.read(unread))

  def update(self, actor_steps: int) -> None:
    """One update of the networks."""
    with self._stopwatch.measure('sample'):
      draw = self.replay.draw(self.num_steps)
    with self._stopwatch.measure('learner'):
      update = self.learner.update(
          draw.transitions,
          self.loss_weights(actor_steps),
          self.learning_rate(actor_steps),
          draw.importance_weights,
      )
      self._means.add(update.metrics)
      self.replay.update_priorities(draw, update.priorities)

  def take_metrics(self, actor_steps: int) -> dict[str, float]:
    """What updates did since the last call; empty if there was none."""
    values = self._means.take()
    if not values:
      return {}
    if not self.asks_teacher(actor_steps):
      values = {n: v for n, v in values.items() if n not in _OF_TEACHER}
    weights = self.loss_weights(actor_steps)
    values |= {
        'distillation_weight': weights.distillation,
        'learning_rate': self.learning_rate(actor_steps),
    }
    if self._agent_config.margin_weight:
      values['margin_weight'] = weights.margin
    weaned_at = self._weaned_at(actor_steps)
    if self._agent_config.learns_from_teacher and weaned_at is not None:
      values['weaned_at'] = weaned_at
    if self._agent_config.roll_in.horizon:
      values['roll_in_horizon'] = self.horizon
    return values

  def _decay(self, actor_steps: int) -> float:
    return weaning.decay(
        self._agent_config.weaning, self._decay_of_scores, actor_steps
    )

  def _weaned_at(self, actor_steps: int) -> Optional[int]:
    return weaning.weaned_at(
        self._agent_config.weaning, self._ratios, actor_steps
    )
