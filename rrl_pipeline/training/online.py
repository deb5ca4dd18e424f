"""The online stage: an agent acts, and learns from what it did.

One process; actor and learner alternate at an exact ratio, through a real
Reverb server. The same loop trains the students of all methods, the control
and, where none is given, the teacher: they differ in their configuration and in
what their networks start from.
"""

import contextlib
import os
import pathlib
from typing import ContextManager, Optional

import dm_env
import reverb

from rrl_pipeline import stopping
from rrl_pipeline.agents import acting
from rrl_pipeline.agents import config as agent_config_lib
from rrl_pipeline.agents import learning
from rrl_pipeline.environments import config as environment_config_lib
from rrl_pipeline.environments import factory
from rrl_pipeline.replay import adders
from rrl_pipeline.replay import tables
from rrl_pipeline.training import actor as actor_lib
from rrl_pipeline.training import checkpointing
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import episode_recording
from rrl_pipeline.training import evaluation
from rrl_pipeline.training import exploration as exploration_lib
from rrl_pipeline.training import guidance as guidance_lib
from rrl_pipeline.training import metric_log
from rrl_pipeline.training import online_learner
from rrl_pipeline.training import online_replay
from rrl_pipeline.training import progress as progress_lib
from rrl_pipeline.training import seeding
from rrl_pipeline.training import teacher_data
from rrl_pipeline.training import timing

# What an episode in flight has to end, so that a checkpoint can be taken.
STOP_SECONDS = 20.0


class OnlineTrainer:
  """Trains one agent online, resuming from its newest checkpoint."""

  def __init__(
      self,
      directory: str | os.PathLike,
      agent: str,
      environment_config: environment_config_lib.EnvironmentConfig,
      agent_config: agent_config_lib.AgentConfig,
      config: config_lib.OnlineConfig,
      evaluation_config: config_lib.EvaluationConfig,
      learner: learning.Learner,
      seed: int,
      guidance: Optional[guidance_lib.Guidance] = None,
      data: teacher_data.TeacherData = teacher_data.TeacherData(),
  ):
    """Opens the run of one agent.

    Args:
      directory: of this agent's records and checkpoints.
      agent: its name in the records.
      environment_config: the environment.
      agent_config: how it learns and acts.
      config: for how long.
      evaluation_config: how it is evaluated.
      learner: its networks, as they are when the online stage begins.
      seed: of the run.
      guidance: the teacher; needed where agent_config asks for one.
      data: of the teacher; likewise.

    Raises:
      ValueError: if agent_config asks for what is not given.
    """
    if agent_config.needs_teacher and guidance is None:
      raise ValueError(
          f'The method of agent {agent!r} needs a teacher, but has none:'
          f' distillation_weight is {agent_config.distillation_weight:g},'
          f' margin_weight {agent_config.margin_weight:g}, roll_in.horizon'
          f' {agent_config.roll_in.horizon}, weaning.schedule'
          f' {agent_config.weaning.schedule!r}.'
      )
    self._directory = directory = pathlib.Path(directory)
    self._agent = agent
    self._environment_config = environment_config
    self._agent_config = agent_config
    self._config = config
    self._evaluation_config = evaluation_config
    self._seed = seed
    self._guidance = guidance
    self._environment = factory.make(
        environment_config, seeding.derive(seed, agent, 'environment')
    )
    self._policy = acting.GreedyPolicy(learner.network)
    self._checkpointer = checkpointing.Checkpointer(
        directory / 'checkpoints', learner.state
    )
    self._evaluations = evaluation.EvaluationLog(directory)
    self._metrics = metric_log.MetricLog(directory)
    self.stopwatch = timing.Stopwatch()
    self._replay = online_replay.OnlineReplay(
        directory,
        environment_config,
        agent_config,
        config.num_actor_steps,
        seeding.derive(seed, agent, 'replay'),
        data,
    )
    self._learner = online_learner.OnlineLearner(
        agent_config, learner, self._replay, guidance, self.stopwatch
    )
    self._clock = timing.Clock()
    self.actor_steps = 0
    self._first_step = self._learner.num_steps
    self._episode = 0
    self._checkpoint_steps = 0
    self._training_return = self._realised_value = float('nan')
    self._restore()
    self._learner.wean(self._evaluations)

  def counts(self) -> dict[str, float]:
    """What the agent has done online, and the time that it took."""
    return {
        'actor_steps': self.actor_steps,
        'frames': self.actor_steps * self._environment_config.frame_skip,
        'learner_steps': self._learner.num_steps - self._first_step,
        'episodes': self._episode,
        **self._clock.total(),
    }

  @property
  def evaluations(self) -> evaluation.EvaluationLog:
    return self._evaluations

  def run(self) -> None:
    """Trains until `num_actor_steps` are done.

    Asked to stop, it plays the episode to its end and takes a checkpoint. If
    that takes too long, the newest checkpoint must do; either way the weights
    are in the end those of an undisturbed run.

    Raises:
      Stopped: if it was asked to.
    """
    with stopping.listen() as self._stop:
      self._run()

  def _run(self) -> None:
    total = self._config.num_actor_steps
    if self.actor_steps >= total:
      return
    # An actor may be one update period ahead of the learner. Every step can
    # end an episode, and an episode's end is a row of its own.
    table = tables.step_table(
        self._environment.observation_spec(),
        self._environment.action_spec().num_values,
        max_unread=2 * self._agent_config.update_period,
    )
    server = reverb.Server([table])
    client = reverb.Client(f'localhost:{server.port}')
    self._learner.connect(client)
    with self._recorded() as environment, progress_lib.progress(
        total, self.actor_steps, f'online {self._agent}', 'steps'
    ) as progress:
      self._actor = actor_lib.Actor(
          environment,
          self._environment_config,
          self._policy,
          self._agent_config,
          adders.StepAdder(
              client, self._environment.action_spec().num_values
          ),
          seeding.derive(self._seed, self._agent, 'exploration'),
          self._guidance and self._guidance.teacher,
          self.stopwatch,
          exploration_lib.make(
              self._environment_config, self._agent_config.marco_polo_share
          ),
      )
      self._actor.episode = self._episode
      self._actor.horizon = self._horizon()
      self._actor.training_return = self._training_return
      self._actor.realised_value = self._realised_value
      while self.actor_steps < total:
        before = self.actor_steps
        self._play_episode()
        progress.update(self.actor_steps - before)
        due = self._checkpoint_steps + self._config.checkpoint_period
        if self.actor_steps >= min(due, total):
          self._save()
        if self._stop.is_made:
          self._save()
          self._stop.stop()
      self._actor.close()
    server.stop()

  def _recorded(self) -> ContextManager[dm_env.Environment]:
    """The environment, recorded if that is asked for."""
    if not self._config.record_episodes:
      return contextlib.nullcontext(self._environment)
    return episode_recording.recorded(
        self._environment,
        self._environment_config,
        self._agent,
        self._seed,
        self._directory / 'recording',
        self._episode,
    )

  def _play_episode(self) -> None:
    total = self._config.num_actor_steps
    while self._actor.episode == self._episode and self.actor_steps < total:
      self._actor.step(
          self.actor_steps, self._learner.asks_teacher(self.actor_steps)
      )
      self.actor_steps += 1
      if self._stop.is_older_than(STOP_SECONDS):
        self._stop.stop()
      if self.actor_steps % self._agent_config.update_period == 0:
        self._learn()
      if (
          self.actor_steps % self._config.evaluation_period == 0
          or self.actor_steps == total
      ):
        with self.stopwatch.measure('evaluation'):
          self._evaluate()
    self._actor.abandon()
    self._episode = self._actor.episode
    self._training_return = self._actor.training_return
    self._realised_value = self._actor.realised_value

  def _learn(self) -> None:
    with self.stopwatch.measure('insert'):
      self._learner.read(self._actor.adder.num_written)
    held = self._replay.num_initial + self.actor_steps
    if held < self._agent_config.min_replay_steps:
      return
    self._learner.update(self.actor_steps)
    if self._learner.num_steps % self._config.log_period == 0:
      self._write_metrics()

  def _evaluate(self) -> None:
    self._evaluations.append(
        evaluation.evaluate(
            self._environment_config,
            self._evaluation_config,
            self._policy,
            evaluation.Progress(
                agent=self._agent,
                stage='online',
                seed=self._seed,
                learner_steps=self._learner.num_steps,
                actor_steps=self.actor_steps,
            ),
            self._evaluation_config.num_episodes,
        )
    )
    self._learner.wean(self._evaluations)
    self._actor.horizon = self._horizon()

  def _horizon(self) -> int:
    """α of the roll-in now."""
    return acting.horizon(
        self._agent_config.roll_in, len(self._evaluations.evaluations())
    )

  def _write_metrics(self) -> None:
    values = self._learner.take_metrics(self.actor_steps)
    if not values:
      return
    if self._agent_config.roll_in.horizon:
      values['roll_in_horizon'] = self._actor.horizon
    self._metrics.write(
        self._learner.num_steps,
        {
            **values,
            'actor_steps': self.actor_steps,
            'frames': self.actor_steps * self._environment_config.frame_skip,
            'epsilon': acting.epsilon(self._agent_config, self.actor_steps),
            'training_return': self._actor.training_return,
            # Q-values above what follows them are too high.
            'realised_value': self._actor.realised_value,
            'overestimation': values['mean_q'] - self._actor.realised_value,
        },
    )

  def _save(self) -> None:
    self._write_metrics()
    self._learner.read(self._actor.adder.num_written)
    self._replay.save()
    self._checkpoint_steps = self.actor_steps
    self._checkpointer.save(
        self.actor_steps,
        {
            'actor_steps': self.actor_steps,
            'episode': self._episode,
            'rows': self._replay.store.num_added,
            'training_return': self._training_return,
            'realised_value': self._realised_value,
            **self._clock.total(),
        },
    )

  def _restore(self) -> None:
    state = self._checkpointer.restore()
    if state is None:
      # Nor may rows of an attempt that ended before its first checkpoint stay.
      self._replay.restore()
      self._evaluations.truncate_after(self._learner.num_steps, 0)
      self._metrics.truncate_after(self._learner.num_steps)
      return
    self.actor_steps = self._checkpoint_steps = state['actor_steps']
    self._episode = state['episode']
    self._training_return = state['training_return']
    self._realised_value = state['realised_value']
    self._clock = timing.Clock(state['wall_seconds'], state['cpu_seconds'])
    self._replay.restore(state['rows'])
    self._evaluations.truncate_after(self._learner.num_steps, self.actor_steps)
    self._metrics.truncate_after(self._learner.num_steps)
