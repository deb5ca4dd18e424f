"""The online stage: an agent acts, and learns from what it did.

One process; actor and learner alternate at an exact ratio, through a real
Reverb server. The same loop trains the QDagger student, the tabula-rasa
control and, where none is given, the teacher: they differ in their
configuration and in what their networks start from.
"""

import contextlib
import dataclasses
import os
import pathlib
from typing import ContextManager, Optional

import dm_env
import numpy as np
import reverb

from rrl_pipeline import scores
from rrl_pipeline.agents import acting
from rrl_pipeline.agents import config as agent_config_lib
from rrl_pipeline.agents import learning
from rrl_pipeline.agents import weaning
from rrl_pipeline.environments import atari
from rrl_pipeline.environments import factory
from rrl_pipeline.environments import wrappers
from rrl_pipeline.replay import adders
from rrl_pipeline.replay import frame_store
from rrl_pipeline.replay import streams
from rrl_pipeline.replay import tables
from rrl_pipeline.teachers import teacher as teacher_lib
from rrl_pipeline.training import checkpointing
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import episode_recording
from rrl_pipeline.training import evaluation
from rrl_pipeline.training import learner_metrics
from rrl_pipeline.training import metric_log
from rrl_pipeline.training import progress as progress_lib
from rrl_pipeline.training import seeding
from rrl_pipeline.training import timing


@dataclasses.dataclass(frozen=True)
class Guidance:
  """A teacher, and the scale on which the student's returns are placed.

  Attributes:
    teacher: gives values for stacked observations.
    scale: its mean return and that of random play, raw.
  """

  teacher: teacher_lib.Teacher
  scale: scores.Scale


class OnlineTrainer:
  """Trains one agent online, resuming from its newest checkpoint."""

  def __init__(
      self,
      directory: str | os.PathLike,
      agent: str,
      environment_config: atari.AtariConfig,
      agent_config: agent_config_lib.AgentConfig,
      config: config_lib.OnlineConfig,
      evaluation_config: config_lib.EvaluationConfig,
      learner: learning.Learner,
      seed: int,
      guidance: Optional[Guidance] = None,
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
      guidance: the teacher; needed where agent_config has a distillation
        weight, and not used otherwise.
    """
    if agent_config.distillation_weight and guidance is None:
      raise ValueError(
          f'Agent {agent!r} distils with weight'
          f' {agent_config.distillation_weight} but has no teacher.'
      )
    self._directory = directory = pathlib.Path(directory)
    self._agent = agent
    self._environment_config = environment_config
    self._agent_config = agent_config
    self._config = config
    self._evaluation_config = evaluation_config
    self._learner = learner
    self._seed = seed
    self._guidance = guidance
    self._environment = factory.make(
        environment_config, seeding.derive(seed, agent, 'environment')
    )
    self._num_actions = self._environment.action_spec().num_values
    frame_shape = self._environment.observation_spec().shape
    self._stacker = wrappers.FrameStacker(
        frame_shape, environment_config.stack_size
    )
    self._policy = acting.GreedyPolicy(learner.network)
    self._store = frame_store.FrameStore(
        min(agent_config.replay_capacity, 2 * config.num_actor_steps),
        frame_shape,
        self._num_actions,
        environment_config.stack_size,
    )
    self._checkpointer = checkpointing.Checkpointer(
        directory / 'checkpoints', learner.state
    )
    self._row_log = checkpointing.RowLog(directory / 'rows')
    self._evaluations = evaluation.EvaluationLog(directory)
    self._metrics = metric_log.MetricLog(directory)
    self.stopwatch = timing.Stopwatch()
    self._clock = timing.Clock()
    self.actor_steps = 0
    self._first_step = int(learner.num_steps)
    self._episode = 0
    self._checkpoint_steps = 0
    self._oldest_kept = 0
    self._means = learner_metrics.MeanMetrics()
    self._training_return = float('nan')
    self._restore()
    self._decay = self._decay_of_records()

  def counts(self) -> dict[str, float]:
    """What the agent has done online, and the time that it took."""
    return {
        'actor_steps': self.actor_steps,
        'frames': self.actor_steps * self._environment_config.frame_skip,
        'learner_steps': int(self._learner.num_steps) - self._first_step,
        'episodes': self._episode,
        **self._clock.total(),
    }

  @property
  def evaluations(self) -> evaluation.EvaluationLog:
    return self._evaluations

  def run(self) -> None:
    """Trains until `num_actor_steps` are done."""
    total = self._config.num_actor_steps
    if self.actor_steps >= total:
      return
    # An actor may be one update period ahead of the learner. Every step can
    # end an episode, and an episode's end is a row of its own.
    table = tables.step_table(
        self._environment.observation_spec(),
        self._num_actions,
        max_unread=2 * self._agent_config.update_period,
    )
    server = reverb.Server([table])
    client = reverb.Client(f'localhost:{server.port}')
    self._adder = adders.StepAdder(client, self._num_actions)
    self._stream = streams.StepStream(client)
    with self._recorded() as environment, progress_lib.progress(
        total, self.actor_steps, f'online {self._agent}', 'steps'
    ) as progress:
      while self.actor_steps < total:
        before = self.actor_steps
        self._play_episode(environment)
        progress.update(self.actor_steps - before)
        due = self._checkpoint_steps + self._config.checkpoint_period
        if self.actor_steps >= min(due, total):
          self._save()
    self._adder.close()
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

  def _play_episode(self, environment: dm_env.Environment) -> None:
    generator = np.random.Generator(
        np.random.Philox(
            key=[
                seeding.derive(self._seed, self._agent, 'exploration'),
                self._episode,
            ]
        )
    )
    environment.start_at_episode(self._episode)
    timestep = environment.reset()
    observation = self._stacker.reset(timestep.observation)
    self._adder.add_first(timestep)
    episode_return = 0.0
    while not timestep.last() and self.actor_steps < self._config.num_actor_steps:
      with self.stopwatch.measure('inference'):
        action, teacher_values = self._act(observation, generator)
      with self.stopwatch.measure('environment'):
        timestep = environment.step(action)
        observation = self._stacker.push(timestep.observation)
      with self.stopwatch.measure('replay'):
        self._adder.add(action, timestep, teacher_values)
      episode_return += float(timestep.reward)
      self.actor_steps += 1
      if self.actor_steps % self._agent_config.update_period == 0:
        self._learn()
      if (
          self.actor_steps % self._config.evaluation_period == 0
          or self.actor_steps == self._config.num_actor_steps
      ):
        with self.stopwatch.measure('evaluation'):
          self._evaluate()
    if timestep.last():
      self._training_return = episode_return
    self._episode += 1

  def _act(
      self, observation: np.ndarray, generator: np.random.Generator
  ) -> tuple[int, Optional[np.ndarray]]:
    batch = observation[np.newaxis]
    epsilon = acting.epsilon(self._agent_config, self.actor_steps)
    action = acting.explore(
        self._policy(batch)[0], epsilon, self._num_actions, generator
    )
    if self._distillation_weight() == 0:
      return action, None
    return action, np.asarray(self._guidance.teacher.values(batch))[0]

  def _read_steps(self) -> None:
    unread = self._adder.num_written - self._stream.num_read
    if unread:
      self._store.extend(self._stream.read(unread))

  def _learn(self) -> None:
    config = self._agent_config
    with self.stopwatch.measure('replay'):
      self._read_steps()
      if self.actor_steps < config.min_replay_steps:
        return
      transitions = self._store.sample(
          config.batch_size,
          config.n_step,
          config.discount,
          seeding.derive(self._seed, self._agent, 'replay'),
          int(self._learner.num_steps),
      )
    with self.stopwatch.measure('learner'):
      self._means.add(
          self._learner.step(
              transitions, self._distillation_weight(), self._learning_rate()
          )
      )
    if int(self._learner.num_steps) % self._config.log_period == 0:
      self._write_metrics()

  def _decay_of_records(self) -> float:
    """Derived from what was recorded, so that a resumed run cannot miss it."""
    if self._guidance is None:
      return 0.0
    return weaning.decay(
        (
            (
                records[0].actor_steps,
                self._guidance.scale.normalise(
                    evaluation.mean_return(records)
                ),
            )
            for records in self._evaluations.evaluations()
        ),
        self._agent_config.weaning_steps,
    )

  def _distillation_weight(self) -> float:
    return self._agent_config.distillation_weight * self._decay

  def _learning_rate(self) -> float:
    config = self._agent_config
    if self._guidance is None:
      if self.actor_steps < config.weaning_steps:
        return config.learning_rate
      return config.weaned_learning_rate
    return weaning.learning_rate(
        self._decay, config.learning_rate, config.weaned_learning_rate
    )

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
                learner_steps=int(self._learner.num_steps),
                actor_steps=self.actor_steps,
            ),
            self._evaluation_config.num_episodes,
        )
    )
    self._decay = self._decay_of_records()

  def _write_metrics(self) -> None:
    values = self._means.take()
    if not values:
      return
    if self._distillation_weight() == 0:
      # The teacher was not asked: these compare with nothing.
      del values['distillation_loss'], values['teacher_agreement']
    self._metrics.write(
        int(self._learner.num_steps),
        {
            **values,
            'actor_steps': self.actor_steps,
            'frames': self.actor_steps * self._environment_config.frame_skip,
            'distillation_weight': self._distillation_weight(),
            'learning_rate': self._learning_rate(),
            'epsilon': acting.epsilon(self._agent_config, self.actor_steps),
            'training_return': self._training_return,
        },
    )

  def _save(self) -> None:
    self._write_metrics()
    self._read_steps()
    self._row_log.save(self._store, self._oldest_kept)
    self._oldest_kept = self._store.oldest
    self._checkpoint_steps = self.actor_steps
    self._checkpointer.save(
        self.actor_steps,
        {
            'actor_steps': self.actor_steps,
            'episode': self._episode,
            'rows': self._store.num_added,
            'training_return': self._training_return,
            **self._clock.total(),
        },
    )

  def _restore(self) -> None:
    state = self._checkpointer.restore()
    if state is None:
      # Nor may rows of an attempt that ended before its first checkpoint stay.
      self._row_log.restore(self._store, 0)
      self._evaluations.truncate_after(int(self._learner.num_steps), 0)
      self._metrics.truncate_after(int(self._learner.num_steps))
      return
    self.actor_steps = self._checkpoint_steps = state['actor_steps']
    self._episode = state['episode']
    self._training_return = state['training_return']
    self._clock = timing.Clock(state['wall_seconds'], state['cpu_seconds'])
    self._row_log.restore(self._store, state['rows'])
    self._oldest_kept = self._store.oldest
    steps = int(self._learner.num_steps)
    self._evaluations.truncate_after(steps, self.actor_steps)
    self._metrics.truncate_after(steps)
