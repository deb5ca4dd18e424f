"""How a student is weaned off its teacher: pure functions of what it scored.

Agarwal et al. (2022), appendix A.3: the weight of each term that comes from the
teacher is multiplied by a *decay*, and the learning rate is tied to the same
decay. It is 1 offline; online it follows the schedule of a
`method_config.WeaningConfig`. With the defaults, which are the authors' code:

* decay is 1 until the first online evaluation;
* after each online evaluation, decay = max(1 - normalised score, 0), the
  score being normalised so that random play is 0 and the teacher is 1
  (`scores.Scale`);
* from t₀ online agent steps on, decay = 0;
* a decay of 0 is final, even if the student falls behind the teacher later.

A decay above 1 (a student below random) is possible and meant.
"""

from typing import Iterable, Optional

from rrl_pipeline.agents import method_config


def score_decay(
    config: method_config.WeaningConfig, ratios: Iterable[float]
) -> float:
  """The decay that evaluations lead to, before any limit of steps.

  Args:
    config: of the schedule 'score'.
    ratios: of the student's score to the teacher's in each online evaluation,
      in order.
  """
  value = 1.0
  for ratio in ratios:
    if value == 0 and config.absorbing:
      break
    value = max(1.0 - ratio, 0.0)
    if config.max_decay is not None:
      value = min(value, config.max_decay)
  return value


def decay(
    config: method_config.WeaningConfig, from_scores: float, actor_steps: int
) -> float:
  """The decay at a number of online agent steps.

  Args:
    config: the schedule.
    from_scores: what `score_decay` gives for the evaluations so far.
    actor_steps: online agent steps so far.
  """
  if config.steps is not None and actor_steps >= config.steps:
    return 0.0
  if config.schedule == 'linear':
    return 1.0 - actor_steps / config.steps
  return from_scores if config.schedule == 'score' else 1.0


def weaned_at(
    config: method_config.WeaningConfig,
    evaluations: Iterable[tuple[int, float]],
    actor_steps: int,
) -> Optional[int]:
  """The agent steps at which the decay became 0 for good.

  Args:
    config: the schedule.
    evaluations: (online agent steps, ratio of scores) of each so far, in order.
    actor_steps: online agent steps so far.

  Returns:
    None if the teacher may still be needed.
  """
  if config.schedule == 'score' and config.absorbing:
    for steps, ratio in evaluations:
      if ratio >= 1 and (config.steps is None or steps < config.steps):
        return steps
  if config.steps is not None and actor_steps >= config.steps:
    return config.steps
  return None


def learning_rate(decay_value: float, initial: float, weaned: float) -> float:
  """`initial` for a decay of 1, `weaned` for 0, mixed linearly between.

  A decay above 1 is taken as 1 here: a student worse than random shall be held
  closer to its teacher, not be given a learning rate that nobody chose.
  """
  mix = min(decay_value, 1.0)
  return mix * initial + (1.0 - mix) * weaned
