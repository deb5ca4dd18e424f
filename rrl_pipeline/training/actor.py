"""The actor: plays one environment and writes its steps to Reverb."""

from typing import Optional, Sequence

import numpy as np

from rrl_pipeline.agents import acting
from rrl_pipeline.agents import config as agent_config_lib
from rrl_pipeline.agents import diagnostics
from rrl_pipeline.environments import config as environment_config_lib
from rrl_pipeline.environments import environment as environment_lib
from rrl_pipeline.environments import wrappers
from rrl_pipeline.replay import adders
from rrl_pipeline.teachers import teacher as teacher_lib
from rrl_pipeline.training import exploration as exploration_lib
from rrl_pipeline.training import rollouts
from rrl_pipeline.training import timing


class Actor:
  """Plays numbered episodes, one step at a time.

  It acts ε-greedily; where there is a roll-in, the teacher plays the first
  steps of each episode.

  Attributes:
    episode: number of the episode that is played, or to be played next.
    is_playing: whether that episode has begun and not ended.
    horizon: α of the roll-in of the episodes to begin; 0 for none.
    training_return: raw return of the latest episode that ended; NaN before.
    realised_value: mean over the steps of that episode of the discounted return
      that followed, on the scale of learning: what a Q-value predicts.
    adder: writes the steps.
  """

  def __init__(
      self,
      environment: environment_lib.Environment,
      environment_config: environment_config_lib.EnvironmentConfig,
      policy: rollouts.Policy,
      agent_config: agent_config_lib.AgentConfig,
      adder: adders.StepAdder,
      seed: int,
      teacher: Optional[teacher_lib.Teacher],
      stopwatch: timing.Stopwatch,
      exploration: exploration_lib.Exploration,
  ):
    """Makes an actor that has not begun an episode.

    Args:
      environment: to act in.
      environment_config: how frames are stacked and rewards clipped.
      policy: the student's greedy actions.
      agent_config: how it explores.
      adder: writes its steps.
      seed: of the exploration, together with the number of each episode.
      teacher: plays the roll-in, and is asked for its values at each step
        while they are learned from.
      stopwatch: measures where the time goes.
      exploration: what it does in place of the ε-greedy actions.
    """
    self._environment = environment
    self._num_actions = environment.action_spec().num_values
    self._stacker = wrappers.FrameStacker(
        environment.observation_spec(), environment_config.stack_size
    )
    self._reward_limit = environment_config.reward_limit
    self._policy = policy
    self._agent_config = agent_config
    self._seed = seed
    self._teacher = teacher
    self._stopwatch = stopwatch
    self._exploration = exploration
    self.adder = adder
    self.episode = 0
    self.is_playing = False
    self.horizon = 0
    self.training_return = float('nan')
    self.realised_value = float('nan')

  def step(self, actor_steps: int, ask_teacher: bool) -> None:
    """Takes one agent step, beginning an episode if none is being played.

    Args:
      actor_steps: agent steps that were taken before this one.
      ask_teacher: whether the teacher's values are stored beside the step.
    """
    step_together([self], actor_steps, ask_teacher)

  def abandon(self) -> None:
    """Gives up the episode that is being played, if there is one."""
    if self.is_playing:
      self._leave()

  def close(self) -> None:
    self.adder.close()

  def _begin(self) -> None:
    """Begins an episode, if none is being played."""
    if self.is_playing:
      return
    self._generator = np.random.Generator(
        np.random.Philox(key=[self._seed, self.episode])
    )
    self._exploration.start(self._generator)
    self._roll_in_steps = acting.roll_in_steps(self.horizon, self._generator)
    self._environment.start_at_episode(self.episode)
    timestep = self._environment.reset()
    self._observation = self._stacker.reset(timestep.observation)
    self.adder.add_first(timestep)
    self._rewards = []
    self.is_playing = True

  def _leave(self) -> None:
    self.is_playing = False
    self.episode += 1

  @property
  def _rolls_in(self) -> bool:
    """Whether the teacher takes the next action."""
    return len(self._rewards) < self._roll_in_steps

  def _random_action(self, actor_steps: int) -> Optional[int]:
    return acting.random_action(
        acting.epsilon(self._agent_config, actor_steps),
        self._num_actions,
        self._generator,
    )

  def _take(self, action: int, teacher_values: Optional[np.ndarray]) -> None:
    with self._stopwatch.measure('environment'):
      timestep = self._environment.step(action)
      self._observation = self._stacker.push(timestep.observation)
    with self._stopwatch.measure('insert'):
      self.adder.add(action, timestep, teacher_values)
    self._rewards.append(float(timestep.reward))
    if timestep.last():
      self.training_return = sum(self._rewards)
      self.realised_value = diagnostics.realised_value(
          self._rewards, self._agent_config.discount, self._reward_limit
      )
      self._leave()


def step_together(
    actors: Sequence[Actor], actor_steps: int, ask_teacher: bool
) -> None:
  """Takes an agent step with each of several actors, in one batch for all.

  Args:
    actors: which have the same policy, teacher and stopwatch.
    actor_steps: see `Actor.step`.
    ask_teacher: likewise.
  """
  # pylint: disable=protected-access
  shared = actors[0]
  with shared._stopwatch.measure('environment'):
    for actor in actors:
      actor._begin()
  with shared._stopwatch.measure('inference'):
    batch = np.stack([actor._observation for actor in actors])
    rolls_in = [actor._rolls_in for actor in actors]
    values = greedy = None
    if ask_teacher or any(rolls_in):
      values = np.asarray(shared._teacher.values(batch))
    actions = []
    for i, actor in enumerate(actors):
      if rolls_in[i]:
        actions.append(int(values[i].argmax()))
        continue
      action = actor._random_action(actor_steps)
      if action is None:
        if greedy is None:  # Not before somebody wants it.
          greedy = shared._policy(batch)
        action = int(greedy[i])
      actions.append(actor._exploration.action(actor._observation, action))
  teacher_values = values if ask_teacher else [None] * len(actors)
  for actor, action, row in zip(actors, actions, teacher_values, strict=True):
    actor._take(action, row)
