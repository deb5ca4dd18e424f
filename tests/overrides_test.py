"""Tests of 'group.name=value': typed, complete, and clear when wrong."""

import dataclasses
import enum
from typing import Optional

import hypothesis
from hypothesis import strategies as st
import pytest

from rrl_pipeline import overrides
from rrl_pipeline import settings
from rrl_pipeline.testing import small_settings


@dataclasses.dataclass(frozen=True)
class Schedule:
  start: int = 10
  end: int = 20

  def __post_init__(self):
    if self.end <= self.start:
      raise ValueError(f'end must be above start, got {self.end}')


@dataclasses.dataclass(frozen=True)
class Agent:
  n_step: int = 3
  discount: float = 0.99
  double: bool = False
  loss: small_settings.Loss = small_settings.Loss.HUBER
  clip: Optional[float] = None
  sizes: tuple[int, ...] = (32, 64)
  shape: tuple[int, int] = (84, 84)
  names: tuple[str, ...] = ()
  note: str = ''
  schedule: Schedule = Schedule()


@dataclasses.dataclass(frozen=True)
class Run:
  seed: int = 0
  agent: Agent = Agent()


@pytest.mark.parametrize(
    ('override', 'expected'),
    [
        ('n_step=5', {'n_step': 5}),
        ('n_step=1_000', {'n_step': 1000}),
        ('discount=1', {'discount': 1.0}),
        ('discount=1e-3', {'discount': 0.001}),
        ('double=True', {'double': True}),
        ('double=false', {'double': False}),
        ('loss=c51', {'loss': small_settings.Loss.C51}),
        ('loss=C51', {'loss': small_settings.Loss.C51}),
        ('clip=none', {'clip': None}),
        ('clip=0.5', {'clip': 0.5}),
        ('sizes=16', {'sizes': (16,)}),
        ('sizes=(16,)', {'sizes': (16,)}),
        ('sizes=16, 32,64', {'sizes': (16, 32, 64)}),
        ('sizes=', {'sizes': ()}),
        ('sizes=()', {'sizes': ()}),
        ('shape=(64, 32)', {'shape': (64, 32)}),
        ('names=a,b', {'names': ('a', 'b')}),
        ('note=a=b', {'note': 'a=b'}),
        ('schedule.end=30', {'schedule': Schedule(end=30)}),
    ],
)
def test_value_is_read_by_the_type_of_its_field(override, expected):
  run = overrides.apply(Run(), ['agent.' + override])
  assert run == Run(agent=dataclasses.replace(Agent(), **expected))
  # 1 == 1.0 == True: the types must be right as well.
  settings.to_json_value(run)
  for name, value in expected.items():
    assert type(getattr(run.agent, name)) is type(value)


def test_several_overrides_and_the_later_counts():
  run = overrides.apply(Run(), ['seed=3', 'agent.n_step=5', 'seed=4'])
  assert run == Run(seed=4, agent=Agent(n_step=5))
  assert overrides.apply(Run(), []) == Run()


def test_settings_that_depend_on_each_other_in_any_order():
  changes = ['agent.schedule.start=50', 'agent.schedule.end=60']
  expected = Schedule(start=50, end=60)
  assert overrides.apply(Run(), changes).agent.schedule == expected
  assert overrides.apply(Run(), changes[::-1]).agent.schedule == expected


@pytest.mark.parametrize(
    ('override', 'message'),
    [
        ('agent.n_step', "as group.name=value, got 'agent.n_step'"),
        ('agent.n_step=x', "agent.n_step: expected an integer, got 'x'"),
        ('agent.n_step=5.0', "agent.n_step: expected an integer, got '5.0'"),
        ('agent.discount=a', 'agent.discount: expected a finite number, got'),
        ('agent.discount=inf', "expected a finite number, got 'inf'"),
        ('agent.double=1', "agent.double: expected true or false, got '1'"),
        ('agent.loss=l2', "agent.loss: expected one of huber, c51, got 'l2'"),
        ('agent.clip=x', 'agent.clip: expected a finite number, or none, got'),
        ('agent.shape=84', r'expected 2 values with commas .*, got .84.'),
        ('agent.sizes=1,x', r'each an integer, got .1,x.'),
        (
            'agent.nstep=5',
            "no setting is called 'agent.nstep'; did you mean agent.n_step",
        ),
        ('n_step=5', r"no setting is called 'n_step'; did you mean agent.n_st"),
        ('agent.zzz=5', r"'agent.zzz'; there are: agent.n_step, agent.d"),
        ('zzz.yyy=5', r"no setting is called 'zzz.yyy'; there are: seed, ag"),
        ('agent.n_step.x=5', "no setting is called 'agent.n_step.x'"),
        ('=5', "no setting is called ''"),
        ('agent=5', "'agent' is a group of settings, set one of: agent.n_step"),
        ('agent.schedule.end=5', 'agent.schedule: end must be above start'),
    ],
)
def test_wrong_override_is_refused_in_one_line(override, message):
  with pytest.raises(ValueError, match=message) as caught:
    overrides.apply(Run(), [override])
  assert '\n' not in str(caught.value)


_finite = st.floats(allow_nan=False, allow_infinity=False)
# Commas and outer blanks separate elements; brackets may surround a list.
_words = st.text('abcXYZ09._-/', min_size=1)
_agents = st.builds(
    Agent,
    n_step=st.integers(),
    discount=_finite,
    double=st.booleans(),
    loss=st.sampled_from(small_settings.Loss),
    clip=st.none() | _finite,
    sizes=st.lists(st.integers(), max_size=4).map(tuple),
    shape=st.tuples(st.integers(), st.integers()),
    names=st.lists(_words, max_size=3).map(tuple),
    note=_words,
)


def _as_text(value):
  if value is None:
    return 'none'
  if isinstance(value, enum.Enum):
    return value.value
  if isinstance(value, tuple):
    return ','.join(map(str, value))
  return str(value)


@hypothesis.given(_agents)
def test_every_value_can_be_set_by_its_text(agent):
  changes = [
      f'agent.{field.name}={_as_text(getattr(agent, field.name))}'
      for field in dataclasses.fields(Agent)
      if field.name != 'schedule'
  ]
  assert overrides.apply(Run(), changes) == Run(agent=agent)


@hypothesis.given(st.text())
def test_any_text_is_applied_or_refused_clearly(text):
  try:
    run = overrides.apply(Run(), [text])
  except ValueError:
    return
  settings.to_json_value(run)


@dataclasses.dataclass(frozen=True)
class Network:
  schedule: small_settings.Schedule = small_settings.Linear()
  units: int = 8


@dataclasses.dataclass(frozen=True)
class Deep:
  network: Network = Network()


def test_a_kind_comes_before_its_settings():
  changed = overrides.apply(
      Deep(), ['network.schedule.value=4', 'network.schedule.kind=constant']
  )

  assert changed == Deep(Network(small_settings.Constant(4)))


def test_the_kind_that_is_there_keeps_its_settings():
  config = Deep(Network(small_settings.Linear(5.0)))

  assert overrides.apply(config, ['network.schedule.kind=linear']) == config


@pytest.mark.parametrize(
    ('override', 'message'),
    [
        ('network.schedule.kind=cosine', 'expected one of linear, constant'),
        ('network.kind=deep', "no setting is called 'network.kind'"),
        ('network.units.kind=deep', "no setting is called"),
        ('network.schedule.value=1', "no setting is called"),
        ('network.schedule=1', 'is a group of settings'),
        ('kind=deep', 'no setting is called'),
    ],
)
def test_a_kind_that_is_not_there_is_refused(override, message):
  with pytest.raises(ValueError, match=message):
    overrides.apply(Deep(), [override])
