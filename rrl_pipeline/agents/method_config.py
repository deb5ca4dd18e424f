"""What sets the methods apart, in small groups of settings.

A teacher's kind (Q-values, logits, actions) is not among them: its bundle says
that.
"""

import dataclasses
from typing import Any, Optional, Sequence


def _check_choice(config: Any, name: str, choices: Sequence[str]) -> None:
  value = getattr(config, name)
  if value not in choices:
    raise ValueError(
        f'{name} must be one of {", ".join(choices)}, got {value!r}.'
    )


@dataclasses.dataclass(frozen=True)
class WeaningConfig:
  """How the *decay* goes from 1 to 0 online (see agents/weaning.py).

  The weights of all terms that come from the teacher are multiplied by it, and
  the learning rate goes from `learning_rate` to `weaned_learning_rate` with it.
  The defaults are those of Agarwal et al. (2022), appendix A.3, in the form of
  the authors' qdagger_dqn_agent.py.

  Attributes:
    schedule: 'score': 1 - the share of the teacher's score that the student
      has, after each evaluation, and 1 before the first; 'linear': from 1 to 0
      in `steps`; 'constant': 1.
    steps: t₀, online agent steps from which on the decay is 0, whatever the
      schedule; none for never, 0 for from the first step on.
    ratio: of the student's score to the teacher's, for 'score': 'normalised',
      so that random play is 0 (the authors' code), or 'raw' returns (the
      paper's text; CleanRL).
    max_decay: the decay is never above this; none for no limit. A student below
      random play has a decay above 1.
    absorbing: whether a decay of 0 is final. If not, the teacher comes back
      when the student falls behind it before t₀.
  """

  schedule: str = 'score'
  steps: Optional[int] = 1_500_000
  ratio: str = 'normalised'
  max_decay: Optional[float] = None
  absorbing: bool = True

  def __post_init__(self):
    _check_choice(self, 'schedule', ('score', 'linear', 'constant'))
    _check_choice(self, 'ratio', ('normalised', 'raw'))
    if self.steps is not None and self.steps < 0:
      raise ValueError(f'steps must not be negative, got {self.steps}.')
    if self.schedule == 'linear' and not self.steps:
      raise ValueError(
          "steps must be at least 1 where schedule is 'linear', got"
          f' {self.steps}.'
      )
    if self.max_decay is not None and self.max_decay <= 0:
      raise ValueError(f'max_decay must be positive, got {self.max_decay}.')


@dataclasses.dataclass(frozen=True)
class RollInConfig:
  """How the teacher begins the student's episodes of training (JSRL).

  Jump-start RL (Uchendu et al., ICML 2023) in the form of the reincarnating RL
  code, whose class defaults are a horizon of 1,000 and a shrinkage of 0.8.

  Attributes:
    horizon: α, the teacher plays h steps of an episode greedily before the
      student takes over, h being drawn uniformly from 1 … α; 0 for no roll-in.
    shrinkage: β, after each evaluation α becomes the whole part of β α.
  """

  horizon: int = 0
  shrinkage: float = 0.8

  def __post_init__(self):
    if self.horizon < 0:
      raise ValueError(f'horizon must not be negative, got {self.horizon}.')
    if not 0 <= self.shrinkage <= 1:
      raise ValueError(f'shrinkage must be in [0, 1], got {self.shrinkage}.')


@dataclasses.dataclass(frozen=True)
class RehearsalConfig:
  """How much of each online batch comes from the teacher's data.

  Attributes:
    ratio: ρ, the share; 0 for none. The reincarnating RL paper's best is 1/16
      (its figure of the sweep), RLPD's (Ball et al., ICML 2023) is a half.
    exact: whether each batch has exactly this share, rounded, as RLPD's has;
      if not, each of its transitions is drawn from the data with probability
      ρ, as in the reincarnating RL code.
  """

  ratio: float = 0.0
  exact: bool = False

  def __post_init__(self):
    if not 0 <= self.ratio < 1:
      raise ValueError(f'ratio must be in [0, 1), got {self.ratio}.')


@dataclasses.dataclass(frozen=True)
class SwitchConfig:
  """What becomes of the parts of an agent when its online stage begins.

  Two more parts are settings of the agent: the exploration rate starts at
  `epsilon_start`, and the learning rate is that of the decay, which is 1 at the
  switch unless `weaning.steps` is 0. Data that is mixed into the student's own
  replay as it learns is `rehearsal`.

  Attributes:
    optimizer: 'kept', with its moments, or 'fresh'.
    target: 'copied' from the online network, as in all sources, or 'kept'.
    replay: 'empty', or 'logs': filled with the newest steps of the teacher's
      data, which give way to the student's own.
  """

  optimizer: str = 'kept'
  target: str = 'copied'
  replay: str = 'empty'

  def __post_init__(self):
    _check_choice(self, 'optimizer', ('kept', 'fresh'))
    _check_choice(self, 'target', ('copied', 'kept'))
    _check_choice(self, 'replay', ('empty', 'logs'))
