"""How a student is weaned off its teacher: pure functions of what it scored.

Agarwal et al. (2022), appendix A.3, in the form of the authors' code: the
weight of the distillation loss is λ = λ₀ · decay, and the learning rate is tied
to the same decay.

* decay is 1 offline and online until the first online evaluation;
* after each online evaluation, decay = max(1 - normalised score, 0), the
  score being normalised so that random play is 0 and the teacher is 1
  (`scores.Scale`);
* after t₀ online agent steps, decay = 0;
* a decay of 0 is final, even if the student falls behind the teacher later.

A decay above 1 (a student below random) is possible and meant.
"""

from typing import Iterable


def decay_after(
    decay: float, score: float, actor_steps: int, weaning_steps: int
) -> float:
  """The decay after one online evaluation.

  Args:
    decay: before it.
    score: normalised score of the student in the evaluation.
    actor_steps: online agent steps at the evaluation.
    weaning_steps: t₀.
  """
  if decay == 0 or actor_steps >= weaning_steps:
    return 0.0
  return max(1.0 - score, 0.0)


def decay(evaluations: Iterable[tuple[int, float]], weaning_steps: int) -> float:
  """The decay after the (actor_steps, normalised score) pairs in order."""
  value = 1.0
  for actor_steps, score in evaluations:
    value = decay_after(value, score, actor_steps, weaning_steps)
  return value


def learning_rate(decay_value: float, initial: float, weaned: float) -> float:
  """`initial` for a decay of 1, `weaned` for 0, mixed linearly between.

  A decay above 1 is taken as 1 here: a student worse than random shall be held
  closer to its teacher, not be given a learning rate that nobody chose.
  """
  mix = min(decay_value, 1.0)
  return mix * initial + (1.0 - mix) * weaned
