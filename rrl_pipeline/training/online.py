"""The online stage: an agent acts, and learns from what it did.

One process; actor and learner alternate at an exact ratio, through a real
Reverb server. The same loop trains the students of all methods, the control
and, where none is given, the teacher: they differ in their configuration and in
what their networks start from.
"""

import contextlib
import sys
from typing import ContextManager, Optional

import dm_env
import numpy as np
import reverb

from rrl_pipeline import stopping
from rrl_pipeline.agents import acting
from rrl_pipeline.environments import factory
from rrl_pipeline.replay import adders
from rrl_pipeline.replay import server as server_lib
from rrl_pipeline.replay import tables
from rrl_pipeline.training import actor as actor_lib
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import episode_recording
from rrl_pipeline.training import evaluation
from rrl_pipeline.training import exploration as exploration_lib
from rrl_pipeline.training import online_run
from rrl_pipeline.training import online_setup
from rrl_pipeline.training import progress as progress_lib
from rrl_pipeline.training import seeding
from rrl_pipeline.training import timing

# What an episode in flight has to end, so that a checkpoint can be taken.
STOP_SECONDS = 20.0


class OnlineTrainer:
  """Trains one agent online, resuming from its newest checkpoint."""

  def __init__(
      self,
      setup: online_setup.OnlineSetup,
      evaluation_config: config_lib.EvaluationConfig,
      stopwatch: Optional[timing.Stopwatch] = None,
  ):
    """Opens the run of one agent.

    Args:
      setup: what it begins with.
      evaluation_config: how it is evaluated.
      stopwatch: measures where the time goes; one by the wall clock if None.

    Raises:
      ValueError: if its method asks for data that is not given.
    """
    self._setup = setup
    self._config = setup.config
    self._evaluation_config = evaluation_config
    self._environment = factory.make(
        setup.environment_config,
        seeding.derive(setup.seed, setup.agent, 'environment'),
    )
    self._network = setup.learner.network
    self._policy = acting.GreedyPolicy(self._network)
    self.stopwatch = stopwatch or timing.Stopwatch()
    self._run = online_run.OnlineRun(setup, self.stopwatch)
    self._learner = self._run.learner
    self._replay = self._learner.replay

  @property
  def actor_steps(self) -> int:
    return self._run.actor_steps

  def counts(self) -> dict[str, float]:
    """What the agent has done online, and the time that it took."""
    return self._run.counts()

  @property
  def evaluations(self) -> evaluation.EvaluationLog:
    return self._run.evaluations

  def run(self) -> None:
    """Trains until `num_actor_steps` are done.

    Asked to stop, it plays the episode to its end and takes a checkpoint. If
    that takes too long, the newest checkpoint must do; either way the weights
    are in the end those of an undisturbed run.

    Raises:
      Stopped: if it was asked to.
    """
    with stopping.listen() as self._stop:
      self._evaluate_waiting()
      if self.actor_steps < self._config.num_actor_steps:
        self._train()

  def _train(self) -> None:
    setup, run, total = self._setup, self._run, self._config.num_actor_steps
    # An actor may be one update period ahead of the learner. Every step can
    # end an episode, and an episode's end is a row of its own.
    table = tables.step_table(
        self._environment.observation_spec(),
        self._environment.action_spec().num_values,
        max_unread=2 * setup.agent_config.update_period,
    )
    server = server_lib.make([table])
    client = reverb.Client(f'localhost:{server.port}')
    self._learner.connect(client)
    with self._recorded() as environment, progress_lib.progress(
        total, self.actor_steps, f'online {setup.agent}', 'steps'
    ) as display:
      self._actor = actor_lib.Actor(
          environment,
          setup.environment_config,
          self._policy,
          setup.agent_config,
          adders.StepAdder(
              client,
              self._environment.action_spec().num_values,
              setup.agent_config.update_period,
          ),
          seeding.derive(setup.seed, setup.agent, 'exploration'),
          setup.guidance and setup.guidance.teacher,
          self.stopwatch,
          exploration_lib.make(
              setup.environment_config, setup.agent_config.marco_polo_share
          ),
      )
      self._actor.episode = run.episodes
      self._actor.training_return = run.training_return
      self._actor.realised_value = run.realised_value
      while self.actor_steps < total:
        before = self.actor_steps
        self._play_episode()
        display.update(self.actor_steps - before)
        if run.is_checkpoint_due or self._stop.is_made:
          self._read()
          run.write_metrics()
          run.save()
        if self._stop.is_made:
          self._stop.stop()
      self._actor.close()
    server.stop()

  def _recorded(self) -> ContextManager[dm_env.Environment]:
    """The environment, recorded if that is asked for."""
    if not self._config.record_episodes:
      return contextlib.nullcontext(self._environment)
    return episode_recording.recorded(
        self._environment,
        self._setup.environment_config,
        self._setup.agent,
        self._setup.seed,
        self._setup.directory / 'recording',
        self._run.episodes,
    )

  def _play_episode(self) -> None:
    run, actor = self._run, self._actor
    total = self._config.num_actor_steps
    actor.horizon = self._learner.horizon
    while actor.episode == run.episodes and self.actor_steps < total:
      actor.step(self.actor_steps, self._learner.asks_teacher(self.actor_steps))
      run.actor_steps += 1
      run.stored_steps += 1
      run.training_return = actor.training_return
      run.realised_value = actor.realised_value
      self._leave_if_late()
      if self.actor_steps % self._setup.agent_config.update_period == 0:
        self._learn()
      if run.is_evaluation_due:
        self._evaluate(self.actor_steps, self._learner.num_steps)
    actor.abandon()
    run.episodes = actor.episode

  def _read(self) -> None:
    """Brings all that was played into the replay."""
    adder = self._actor.adder
    with self.stopwatch.measure('insert'):
      adder.flush()
      self._learner.read(adder.num_written)

  def _learn(self) -> None:
    self._read()
    if not self._run.may_learn:
      return
    self._learner.update(self.actor_steps)
    if self._learner.num_steps % self._config.log_period == 0:
      self._run.write_metrics()

  def _evaluate_waiting(self) -> None:
    """Makes the evaluations that a run of several processes left open."""
    snapshots = self._run.snapshots
    if not len(snapshots):
      return
    weights = self._network.get_weights()
    while (waiting := snapshots.oldest()) is not None:
      self._network.set_weights(waiting.weights)
      self._evaluate(waiting.actor_steps, waiting.learner_steps)
      snapshots.discard(waiting.actor_steps)
    self._network.set_weights(weights)

  def _evaluate(self, actor_steps: int, learner_steps: int) -> None:
    with self.stopwatch.measure('evaluation'):
      records = evaluation.evaluate(
          self._setup.environment_config,
          self._evaluation_config,
          self._evaluated_policy,
          evaluation.Progress(
              agent=self._setup.agent,
              stage='online',
              seed=self._setup.seed,
              learner_steps=learner_steps,
              actor_steps=actor_steps,
          ),
          self._evaluation_config.num_episodes,
      )
    self.evaluations.append(records)
    self._learner.wean(self.evaluations)

  def _evaluated_policy(self, observations: np.ndarray) -> np.ndarray:
    # An evaluation takes minutes, which is longer than anybody waits.
    self._leave_if_late()
    return self._policy(observations)

  def _leave_if_late(self) -> None:
    if self._stop.is_older_than(STOP_SECONDS):
      print(
          f'{self._setup.agent}: the episode in flight did not end within'
          f' {STOP_SECONDS:g} s and is discarded; the newest checkpoint is that'
          f' of step {self._run.checkpoint_steps:,}',
          file=sys.stderr,
          flush=True,
      )
      self._stop.stop()
