"""The learner of a distributed run.

It alone counts, and it alone writes to the agent's directory. It takes the rows
of all actors from one queue and updates once after every `update_period` of
their steps; actors wait while it is behind. So the ratio is exact, whatever
their number. Checkpoints are those of the single-process loop.
"""

import os
import pathlib
import time
from typing import Optional

import numpy as np

from rrl_pipeline import stopping
from rrl_pipeline.agents import acting
from rrl_pipeline.agents import config as agent_config_lib
from rrl_pipeline.agents import diagnostics
from rrl_pipeline.agents import learning
from rrl_pipeline.environments import config as environment_config_lib
from rrl_pipeline.replay import actor_rows
from rrl_pipeline.replay import episode_pieces
from rrl_pipeline.training import checkpointing
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import evaluation
from rrl_pipeline.training import guidance as guidance_lib
from rrl_pipeline.training import metric_log
from rrl_pipeline.training import online_learner
from rrl_pipeline.training import online_replay
from rrl_pipeline.training import patience
from rrl_pipeline.training import role_link
from rrl_pipeline.training import seeding
from rrl_pipeline.training import teacher_data
from rrl_pipeline.training import timing
from rrl_pipeline.training import weight_snapshots

# Learner steps between the weights that actors get.
_PUBLISH_PERIOD = 25
_MAX_ROWS_AT_ONCE = 64
_IDLE_SECONDS = 0.002
_TICK_SECONDS = 0.5


class LearnerRole:
  """Trains one agent on the steps of actors that are other processes."""

  def __init__(
      self,
      directory: str | os.PathLike,
      agent: str,
      environment_config: environment_config_lib.EnvironmentConfig,
      agent_config: agent_config_lib.AgentConfig,
      config: config_lib.OnlineConfig,
      learner: learning.Learner,
      seed: int,
      guidance: Optional[guidance_lib.Guidance] = None,
      data: teacher_data.TeacherData = teacher_data.TeacherData(),
  ):
    """Opens the run of one agent, as it was at its newest checkpoint.

    Args:
      directory: of this agent's records and checkpoints.
      agent: its name in the records.
      environment_config: the environment.
      agent_config: how it learns.
      config: for how long.
      learner: its networks, as they are when the online stage begins.
      seed: of the run.
      guidance: the teacher; needed where agent_config asks for one.
      data: of the teacher; likewise.

    Raises:
      ValueError: if episodes shall be recorded.
    """
    if config.record_episodes:
      raise ValueError(
          'online.record_episodes is for one process that acts and learns;'
          ' leave --num_actors out, or set it to false.'
      )
    directory = pathlib.Path(directory)
    self._environment_config = environment_config
    self._agent_config = agent_config
    self._config = config
    self._checkpointer = checkpointing.Checkpointer(
        directory / 'checkpoints', learner.state
    )
    self._evaluations = evaluation.EvaluationLog(directory)
    self._snapshots = weight_snapshots.WeightSnapshots(directory / 'snapshots')
    self._metrics = metric_log.MetricLog(directory)
    self._replay = online_replay.OnlineReplay(
        directory,
        environment_config,
        agent_config,
        config.num_actor_steps,
        seeding.derive(seed, agent, 'replay'),
        data,
    )
    self._learner = online_learner.OnlineLearner(
        agent_config, learner, self._replay, guidance, timing.Stopwatch()
    )
    self._pieces = episode_pieces.EpisodePieces(
        agent_config.n_step, environment_config.stack_size
    )
    self.actor_steps = 0
    self._stored_steps = 0
    self._episodes = 0
    self._clock = timing.Clock()
    self._training_return = self._realised_value = float('nan')
    # Of the episode that each actor is in; none if rows of it were missed.
    self._rewards: dict[int, list[float]] = {}
    self._staleness: list[int] = []
    self._offer = 0
    self._offered: Optional[weight_snapshots.Snapshot] = None
    self._restore()
    self._learner.wean(self._evaluations)

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
        due = self._checkpoint_steps + self._config.checkpoint_period
        if self.actor_steps >= min(due, total):
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
      self._replay.store.extend(piece)
    self._stored_steps += self._pieces.num_given - before
    self._follow_episode(row, continues)
    if row.is_last:
      return
    self.actor_steps += 1
    self._staleness.append(
        max(0, self._learner.num_steps - int(row.learner_steps))
    )
    if self.actor_steps % self._agent_config.update_period == 0:
      self._learn()
    if (
        self.actor_steps % self._config.evaluation_period == 0
        or self.actor_steps == self._config.num_actor_steps
    ):
      self._snapshots.save(
          weight_snapshots.Snapshot(
              self.actor_steps,
              self._learner.num_steps,
              [variable.numpy() for variable in self._variables()],
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
    self._episodes += 1
    if rewards:
      self._training_return = sum(rewards)
      self._realised_value = diagnostics.realised_value(
          rewards,
          self._agent_config.discount,
          self._environment_config.reward_limit,
      )
    self._rewards.pop(actor, None)

  def _learn(self) -> None:
    # Steps of unfinished pieces cannot be drawn yet, and do not count.
    held = self._replay.num_initial + self._stored_steps
    if held < self._agent_config.min_replay_steps:
      return
    self._learner.update(self.actor_steps)
    if self._learner.num_steps % _PUBLISH_PERIOD == 0:
      self._publish()
    if self._learner.num_steps % self._config.log_period == 0:
      self._write_metrics()

  def _variables(self) -> list:
    return self._learner.learner.network.variables

  def _horizon(self) -> int:
    return acting.horizon(
        self._agent_config.roll_in, len(self._evaluations.evaluations())
    )

  def _publish(self) -> None:
    """Gives the actors the weights of now."""
    state = role_link.PolicyState(
        self.actor_steps,
        self._learner.num_steps,
        self._learner.asks_teacher(self.actor_steps),
        self._horizon(),
    )
    self._link.push_policy(state, self._variables())

  def _counters(self) -> role_link.Counters:
    return role_link.Counters(
        self.actor_steps, self._learner.num_steps, self._offer
    )

  def _tick(self) -> None:
    """Sees to the others, twice a second."""
    if time.monotonic() < self._next_tick:
      return
    self._next_tick = time.monotonic() + _TICK_SECONDS
    for records in self._link.read_records():
      self._take_records(records)
    if not self._link.has_policy:
      # The server was started anew.
      self._publish()
      self._offered = None
    if self._offered is None:
      self._offer_oldest()
    self._link.push_counters(self._counters())

  def _take_records(self, records) -> None:
    offered = self._offered
    if offered is None or (
        (records[0].actor_steps, records[0].learner_steps) != offered[:2]
    ):
      return  # Of an evaluator that did it twice.
    self._evaluations.append(records)
    self._snapshots.discard(offered.actor_steps)
    self._offered, self._offer = None, 0
    self._learner.wean(self._evaluations)
    self._publish()

  def _offer_oldest(self) -> None:
    self._offered = self._snapshots.oldest()
    if self._offered is None:
      return
    steps, learner_steps, weights = self._offered
    self._link.push_offer(
        role_link.PolicyState(steps, learner_steps, False, 0), weights
    )
    self._offer = time.time_ns()

  def _write_metrics(self) -> None:
    values = self._learner.take_metrics(self.actor_steps)
    if not values:
      return
    if self._agent_config.roll_in.horizon:
      values['roll_in_horizon'] = self._horizon()
    self._metrics.write(
        self._learner.num_steps,
        {
            **values,
            'actor_steps': self.actor_steps,
            'frames': self.actor_steps * self._environment_config.frame_skip,
            'epsilon': acting.epsilon(self._agent_config, self.actor_steps),
            'training_return': self._training_return,
            'realised_value': self._realised_value,
            'overestimation': values['mean_q'] - self._realised_value,
            # Learner steps by which the weights that acted were behind.
            'staleness': np.mean(self._staleness),
            'max_staleness': max(self._staleness),
            'waiting_evaluations': len(self._snapshots),
        },
    )
    self._staleness.clear()

  def _save(self) -> None:
    self._write_metrics()
    self._replay.save()
    self._checkpoint_steps = self.actor_steps
    self._checkpointer.save(
        self.actor_steps,
        {
            'actor_steps': self.actor_steps,
            'episode': self._episodes,
            'rows': self._replay.store.num_added,
            'stored_steps': self._stored_steps,
            'training_return': self._training_return,
            'realised_value': self._realised_value,
            **self._clock.total(),
        },
    )

  def _restore(self) -> None:
    state = self._checkpointer.restore()
    self._checkpoint_steps = 0
    if state is None:
      self._replay.restore()
    else:
      self.actor_steps = self._checkpoint_steps = state['actor_steps']
      self._episodes = state['episode']
      self._stored_steps = state.get('stored_steps', self.actor_steps)
      self._training_return = state['training_return']
      self._realised_value = state['realised_value']
      self._clock = timing.Clock(state['wall_seconds'], state['cpu_seconds'])
      self._replay.restore(state['rows'])
    self._evaluations.truncate_after(self._learner.num_steps, self.actor_steps)
    self._snapshots.truncate_after(self.actor_steps)
    for records in self._evaluations.evaluations():
      # It may have ended just after it took these.
      self._snapshots.discard(records[0].actor_steps)
    self._metrics.truncate_after(self._learner.num_steps)
