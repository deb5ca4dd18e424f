"""Whether a benchmark shows what the paper's curves show.

Agarwal et al. (2022) report patterns that hold across games: who dips when the
teacher leaves, who is no better than learning from scratch. Each is a
*signature* here: claims about figures with 95 % intervals over runs. A claim is
reproduced if the whole interval agrees with it, not reproduced if the whole
interval disagrees, and otherwise not decidable at this scale. A signature
stands with all of its claims and falls with any.
"""

import dataclasses
import enum
from typing import Any, Callable, Mapping, Optional, Sequence

from rrl_pipeline.reports import aggregate
from rrl_pipeline.reports import benchmark_curves
from rrl_pipeline.reports import benchmark_statistics

# A difference smaller than this share of the teacher's score counts as none;
# in the paper those that matter are 0.2 and more.
MARGIN = 0.1
# 'A large part of the teacher's score': the paper has 0.8 of it.
LARGE_PART = 0.5
# Before and after an event means within this share of the frames.
WINDOW = 0.2
# A jump is one that comes at once: in the paper after 1 M of 10 M frames.
AT_ONCE = 0.1

_SEED = 0
_MIN_N_STEP = 3

Curves = Mapping[str, Sequence[benchmark_curves.Curve]]
_Statistic = Callable[[benchmark_curves.Curve], Optional[float]]


class Verdict(enum.Enum):
  """What the figures say about a claim."""

  REPRODUCED = 'reproduced'
  NOT_REPRODUCED = 'not reproduced'
  NOT_DECIDABLE = 'not decidable at this scale'


@dataclasses.dataclass(frozen=True)
class Claim:
  """That a figure lies above, or below, a threshold.

  Attributes:
    text: what the figure is.
    figure: estimate over runs and tasks; None if it cannot be had.
    threshold: that it is held against.
    above: whether the claim is that it lies above.
    obstacle: why it cannot be had, '' if it can.
  """

  text: str
  figure: Optional[aggregate.Estimate]
  threshold: float
  above: bool
  obstacle: str = ''

  @property
  def verdict(self) -> Verdict:
    if self.figure is None or self.figure.low is None:
      return Verdict.NOT_DECIDABLE
    low, high = self.figure.low, self.figure.high
    if not self.above:
      low, high = -high, -low
    threshold = self.threshold if self.above else -self.threshold
    if low > threshold:
      return Verdict.REPRODUCED
    if high <= threshold:
      return Verdict.NOT_REPRODUCED
    return Verdict.NOT_DECIDABLE


@dataclasses.dataclass(frozen=True)
class Signature:
  """A pattern of the paper.

  Attributes:
    letter: by which it is called.
    statement: the pattern in words.
    claims: what it comes down to.
  """

  letter: str
  statement: str
  claims: tuple[Claim, ...]

  @property
  def verdict(self) -> Verdict:
    verdicts = {claim.verdict for claim in self.claims}
    for verdict in (Verdict.NOT_REPRODUCED, Verdict.NOT_DECIDABLE):
      if verdict in verdicts:
        return verdict
    return Verdict.REPRODUCED

  def to_json(self) -> dict[str, Any]:
    """As report.json has it."""
    return {
        'letter': self.letter,
        'statement': self.statement,
        'verdict': self.verdict.value,
        'claims': [
            {
                'text': claim.text,
                'figure': claim.figure and dataclasses.asdict(claim.figure),
                'threshold': claim.threshold,
                'above': claim.above,
                'obstacle': claim.obstacle,
                'verdict': claim.verdict.value,
            }
            for claim in self.claims
        ],
    }


def signatures(curves: Curves, resamples: int) -> list[Signature]:
  """Judges all of them.

  Args:
    curves: the runs of each method by its name; methods that were not run are
      missing.
    resamples: of each bootstrap.

  Returns:
    The signatures (a) to (f), in that order.
  """
  judge = _Judge(curves, resamples)
  return [
      Signature(
          'a',
          "QDagger's offline score is a large part of its teacher's, and does"
          ' not dip when the teacher leaves.',
          (
              judge.single('qdagger', 'offline score', _offline, LARGE_PART),
              judge.single('qdagger', 'dip', _dip, MARGIN, above=False),
          ),
      ),
      Signature(
          'b',
          'DQfD and one-step kickstarting dip sharply after the teacher'
          ' leaves.',
          (
              judge.single('dqfd', 'dip', _dip, MARGIN),
              judge.single('kickstarting_one_step', 'dip', _dip, MARGIN),
          ),
      ),
      Signature(
          'c',
          'JSRL is not better than learning from scratch.',
          (judge.pair('jsrl', 'tabula_rasa', MARGIN, above=False),),
      ),
      Signature(
          'd',
          'Rehearsal is slightly above learning from scratch, with n of at'
          ' least 3.',
          (
              judge.pair(
                  'rehearsal', 'tabula_rasa', 0.0, min_n_step=_MIN_N_STEP
              ),
          ),
      ),
      Signature(
          'e',
          'With a constant weight of the teacher the student stalls where it'
          ' rises with a decaying one.',
          (
              judge.single('qdagger_constant', 'rise', _rise, MARGIN, False),
              judge.pair('qdagger', 'qdagger_constant', 0.0),
          ),
      ),
      Signature(
          'f',
          'A reloaded agent jumps at a fifth of its learning rate and not at'
          ' the rate that it was trained with.',
          (
              judge.single('fine_tuning', 'jump', _jump, MARGIN),
              judge.single(
                  'reload_original_lr', 'jump', _jump, MARGIN, False
              ),
          ),
      ),
  ]


class _Judge:
  """Turns curves into claims, or says why it cannot."""

  def __init__(self, curves: Curves, resamples: int):
    self._curves = curves
    self._resamples = resamples

  def single(
      self,
      method: str,
      name: str,
      statistic: _Statistic,
      threshold: float,
      above: bool = True,
  ) -> Claim:
    """A claim about one figure of one method."""
    text = f'{_TEXTS[name]} of {method}'
    obstacle = self._obstacle(method)
    if not obstacle and None in map(statistic, self._curves[method]):
      obstacle = f'some runs of {method} have no {name}: {_NEEDS[name]}'
    if obstacle:
      return Claim(text, None, threshold, above, obstacle)
    values = benchmark_curves.matrix(self._curves[method], statistic)
    return self._claim(
        text,
        aggregate.over_runs(values, self._resamples, _SEED)['iqm'],
        threshold,
        above,
    )

  def pair(
      self,
      method: str,
      other: str,
      threshold: float,
      above: bool = True,
      min_n_step: int = 1,
  ) -> Claim:
    """A claim about the final score of one method minus that of another."""
    text = f'final score of {method} minus that of {other}'
    obstacle = self._obstacle(method) or self._obstacle(other)
    if not obstacle:
      runs = (*self._curves[method], *self._curves[other])
      tasks = [set(benchmark_curves.by_task(self._curves[m]))
               for m in (method, other)]
      if tasks[0] != tasks[1]:
        obstacle = f'{method} and {other} were run on different tasks'
      elif min(curve.n_step for curve in runs) < min_n_step:
        obstacle = f'some runs have n below {min_n_step}'
    if obstacle:
      return Claim(text, None, threshold, above, obstacle)
    x, y = (
        benchmark_curves.matrix(self._curves[m], lambda curve: curve.final)
        for m in (method, other)
    )
    return self._claim(
        text,
        benchmark_statistics.difference_of_iqm(x, y, self._resamples, _SEED),
        threshold,
        above,
    )

  def _obstacle(self, method: str) -> str:
    curves = self._curves.get(method)
    if not curves:
      return f'{method} was not run'
    if not benchmark_curves.is_complete(curves):
      return f'{method} has different numbers of runs for its tasks'
    return ''

  def _claim(
      self,
      text: str,
      figure: aggregate.Estimate,
      threshold: float,
      above: bool,
  ) -> Claim:
    obstacle = ''
    if figure.low is None:
      obstacle = 'one run of each task has no interval'
    return Claim(text, figure, threshold, above, obstacle)


_TEXTS = {
    'offline score': 'last offline score',
    'dip': 'mean score before the teacher leaves minus that after it',
    'rise': 'rise of the score over the second half of training',
    'jump': 'score after a tenth of the frames minus that of the teacher',
}
_NEEDS = {
    'offline score': 'there was no offline stage',
    'dip': 'the teacher never left, or no evaluation came before or after',
    'rise': 'there are too few evaluations',
    'jump': 'no evaluation came that early',
}


def _offline(curve: benchmark_curves.Curve) -> Optional[float]:
  return curve.offline[-1][1] if curve.offline else None


def _dip(curve: benchmark_curves.Curve) -> Optional[float]:
  if curve.weaned_at is None:
    return None
  window = WINDOW * curve.frames[-1]
  before = curve.mean_between(curve.weaned_at - window, curve.weaned_at)
  after = curve.mean_between(curve.weaned_at + 1, curve.weaned_at + window)
  return None if before is None or after is None else before - after


def _rise(curve: benchmark_curves.Curve) -> Optional[float]:
  end = curve.frames[-1]
  half = WINDOW / 2
  middle = curve.mean_between((0.5 - half) * end, (0.5 + half) * end)
  last = curve.mean_between((1 - WINDOW) * end, end)
  return None if middle is None or last is None else last - middle


def _jump(curve: benchmark_curves.Curve) -> Optional[float]:
  early = curve.mean_between(1, AT_ONCE * curve.frames[-1])
  return None if early is None else early - 1.0
