"""The learner of a distributed run.

It alone counts, and it alone writes to the agent's directory. It takes the rows
of all actors from one queue and updates once after every `update_period` of
their steps; actors wait while it is behind. So the ratio is exact, whatever
their number. Checkpoints are those of the single-process loop.
"""

import secrets
import time

import numpy as np

from rrl_pipeline import stopping
from rrl_pipeline.agents import diagnostics
from rrl_pipeline.replay import actor_rows
from rrl_pipeline.replay import episode_pieces
from rrl_pipeline.training import online_run
from rrl_pipeline.training import online_setup
from rrl_pipeline.training import patience
from rrl_pipeline.training import role_link
from rrl_pipeline.training import timing
from rrl_pipeline.training import weight_snapshots

# Learner steps between the weights that actors get.
_PUBLISH_PERIOD = 25
_MAX_ROWS_AT_ONCE = 64
_IDLE_SECONDS = 0.002
_TICK_SECONDS = 0.5


class LearnerRole:
  """Trains one agent on the steps of actors that are other processes."""

  def __init__(self, setup: online_setup.OnlineSetup):
    """Opens the run of one agent, as it was at its newest checkpoint.

    Args:
      setup: what it begins with.

    Raises:
      ValueError: if episodes shall be recorded.
    """
    if setup.config.record_episodes:
      raise ValueError(
          'online.record_episodes is for one process that acts and learns;'
          ' leave --num_actors out, or set it to false.'
      )
    self._environment_config = setup.environment_config
    self._agent_config = setup.agent_config
    self._config = setup.config
    self._run = online_run.OnlineRun(setup, timing.Stopwatch())
    self._learner = self._run.learner
    self._network = setup.learner.network
    self._snapshots = self._run.snapshots
    self._pieces = episode_pieces.EpisodePieces(
        setup.agent_config.n_step, setup.environment_config.stack_size
    )
    # Of the episode that each actor is in; none if rows of it were missed.
    self._rewards: dict[int, list[float]] = {}
    self._staleness: list[int] = []
    # Number of the weights that wait for an evaluation; 0 if none do.
    self._offer = 0

  @property
  def actor_steps(self) -> int:
    return self._run.actor_steps

  def run(self, link: role_link.RoleLink) -> None:
    """Trains until `num_actor_steps` are done and evaluated.

    Raises:
      Stopped: if it was asked to; a checkpoint was taken.
    """
    self._link = link
    self._next_tick = 0.0
    total = self._config.num_actor_steps
    with stopping.listen() as request:
      # The server may be gone before this process is asked to go.
      link.patience.is_ending = lambda: request.is_made
      self._publish()
      self._tick()
      while self.actor_steps < total:
        self._read(request)
        if request.is_made:
          self._save()
          request.stop()
        if self._run.is_checkpoint_due:
          self._save()
        self._tick()
      while len(self._snapshots):
        if request.is_made:
          request.stop()
        time.sleep(_TICK_SECONDS)
        self._tick()
    link.push_counters(self._counters())
    link.finish()

  def _read(self, request: stopping.Request) -> None:
    try:
      rows = self._link.read_steps(_MAX_ROWS_AT_ONCE)
    except patience.UnreachableError:
      # Nothing is half done here: whoever goes on has it all.
      self._save()
      if request.is_made:
        request.stop()
      raise
    if not rows:
      time.sleep(_IDLE_SECONDS)
    for row in rows:
      self._take(row)
      if self.actor_steps >= self._config.num_actor_steps:
        return

  def _take(self, row: actor_rows.ActorRow) -> None:
    """Takes one row, and learns and evaluates if it is time to."""
    if self._pieces.is_repeated(row) or self._lacks_teacher_values(row):
      return
    continues = self._pieces.continues(row)
    before = self._pieces.num_given
    for piece in self._pieces.add(row):
      self._learner.replay.store.extend(piece)
    self._run.stored_steps += self._pieces.num_given - before
    self._follow_episode(row, continues)
    if row.is_last:
      return
    self._run.actor_steps += 1
    self._staleness.append(
        max(0, self._learner.num_steps - int(row.learner_steps))
    )
    if self.actor_steps % self._agent_config.update_period == 0:
      self._learn()
    if self._run.is_evaluation_due:
      self._snapshots.save(
          weight_snapshots.Snapshot(
              self.actor_steps,
              self._learner.num_steps,
              self._network.get_weights(),
          )
      )

  def _lacks_teacher_values(self, row: actor_rows.ActorRow) -> bool:
    """Whether it is from before this learner went back to a checkpoint.

    The learner before it may have had no more need of the teacher.
    """
    return (
        not row.is_last
        and self._learner.asks_teacher(self.actor_steps)
        and not row.teacher_values.any()
    )

  def _follow_episode(
      self, row: actor_rows.ActorRow, continues: bool
  ) -> None:
    """Keeps the rewards of the actor's episode, and what came of them."""
    actor = int(row.actor)
    if row.is_first:
      self._rewards[actor] = []
    elif not continues:
      # Rewards of it were lost.
      self._rewards.pop(actor, None)
    rewards = self._rewards.get(actor)
    if not row.is_last:
      if rewards is not None:
        rewards.append(float(row.reward))
      return
    self._run.episodes += 1
    if rewards:
      self._run.training_return = sum(rewards)
      self._run.realised_value = diagnostics.realised_value(
          rewards,
          self._agent_config.discount,
          self._environment_config.reward_limit,
      )
    self._rewards.pop(actor, None)

  def _learn(self) -> None:
    # Steps of unfinished pieces cannot be drawn yet, and do not count.
    if not self._run.may_learn:
      return
    self._learner.update(self.actor_steps)
    if self._learner.num_steps % _PUBLISH_PERIOD == 0:
      self._publish()
    if self._learner.num_steps % self._config.log_period == 0:
      self._write_metrics()

  def _publish(self) -> None:
    """Gives the actors the weights of now."""
    state = role_link.PolicyState(
        self.actor_steps,
        self._learner.num_steps,
        self._learner.asks_teacher(self.actor_steps),
        self._learner.horizon,
    )
    self._link.push_policy(state, self._network.variables)

  def _counters(self) -> role_link.Counters:
    return role_link.Counters(
        self.actor_steps, self._learner.num_steps, self._offer
    )

  def _tick(self) -> None:
    """Sees to the others, twice a second."""
    if time.monotonic() < self._next_tick:
      return
    self._next_tick = time.monotonic() + _TICK_SECONDS
    for evaluation in self._link.read_evaluations():
      self._take_evaluation(evaluation)
    if not self._link.has_policy:
      # The server was started anew.
      self._publish()
      self._offer = 0
    if not self._offer:
      self._offer_oldest()
    self._link.push_counters(self._counters())

  def _take_evaluation(self, evaluation: role_link.Evaluation) -> None:
    if evaluation.offer != self._offer:
      # Of an evaluator that did it twice, or offered before a restart.
      return
    self._run.evaluations.append(evaluation.records)
    self._snapshots.discard(evaluation.records[0].actor_steps)
    self._offer = 0
    self._learner.wean(self._run.evaluations)
    self._publish()

  def _offer_oldest(self) -> None:
    oldest = self._snapshots.oldest()
    if oldest is None:
      return
    steps, learner_steps, weights = oldest
    self._link.push_offer(
        role_link.PolicyState(steps, learner_steps, False, 0), weights
    )
    # Of no other offer, not even of those of a learner before this one.
    self._offer = 1 + secrets.randbelow(2**62)

  def _write_metrics(self) -> None:
    # Learner steps by which the weights that acted were behind.
    staleness = self._staleness or [0]
    if self._run.write_metrics(
        staleness=np.mean(staleness),
        max_staleness=max(staleness),
        waiting_evaluations=len(self._snapshots),
    ):
      self._staleness.clear()

  def _save(self) -> None:
    self._write_metrics()
    self._run.save()
