"""Tests of settings as JSON: exact both ways, every wrong input named."""

import dataclasses
import hashlib
import json
from typing import Optional

import hypothesis
from hypothesis import strategies as st
import pytest

from rrl_pipeline import settings
from rrl_pipeline.testing import small_settings


@dataclasses.dataclass(frozen=True)
class Agent:
  n_step: int = 3
  discount: float = 0.99
  double: bool = False
  loss: small_settings.Loss = small_settings.Loss.HUBER
  clip: Optional[float] = None

  def __post_init__(self):
    if self.n_step < 1:
      raise ValueError(f'n_step must be at least 1, got {self.n_step}')


@dataclasses.dataclass(frozen=True)
class Environment:
  game: str = 'Pong'
  frame_shape: tuple[int, int] = (84, 84)
  scores: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class Run:
  seed: int = 0
  note: str | None = None
  agent: Agent = Agent()
  environment: Environment = Environment()


_finite = st.floats(allow_nan=False, allow_infinity=False)
_runs = st.builds(
    Run,
    seed=st.integers(),
    note=st.none() | st.text(),
    agent=st.builds(
        Agent,
        n_step=st.integers(1, 10**9),
        discount=_finite,
        double=st.booleans(),
        loss=st.sampled_from(small_settings.Loss),
        clip=st.none() | _finite,
    ),
    environment=st.builds(
        Environment,
        game=st.text(),
        frame_shape=st.tuples(st.integers(), st.integers()),
        scores=st.lists(_finite, max_size=3).map(tuple),
    ),
)


@hypothesis.given(_runs)
def test_json_round_trip_is_exact(run):
  text = json.dumps(settings.to_json_value(run), allow_nan=False)
  assert settings.from_json_value(Run, json.loads(text)) == run


@hypothesis.given(_runs, _runs)
def test_fingerprints_are_equal_exactly_if_the_settings_are(a, b):
  def fingerprint(run):
    return settings.fingerprint(settings.to_json_value(run))

  assert fingerprint(dataclasses.replace(a)) == fingerprint(a)
  assert (fingerprint(a) == fingerprint(b)) == (a == b)


def test_fingerprint_is_the_hash_of_the_canonical_text():
  text = b'{"a":[1,2.5],"b":null}'
  assert settings.fingerprint({'b': None, 'a': [1, 2.5]}) == (
      hashlib.sha256(text).hexdigest()
  )


def test_flat_names():
  assert settings.flatten(Run(seed=7, agent=Agent(discount=1))) == {
      'seed': 7,
      'note': None,
      'agent.n_step': 3,
      'agent.discount': 1.0,
      'agent.double': False,
      'agent.loss': 'huber',
      'agent.clip': None,
      'environment.game': 'Pong',
      'environment.frame_shape': [84, 84],
      'environment.scores': [],
  }


def test_integer_in_a_float_field_is_the_same_setting():
  one = settings.to_json_value(Run(agent=Agent(discount=1)))
  assert json.dumps(one['agent']['discount']) == '1.0'
  assert settings.fingerprint(one) == settings.fingerprint(
      settings.to_json_value(Run(agent=Agent(discount=1.0)))
  )


@pytest.mark.parametrize(
    ('path', 'value', 'message'),
    [
        ('agent.n_step', '3', "agent.n_step: expected an integer, got '3'"),
        ('agent.n_step', 3.0, 'agent.n_step: expected an integer, got 3.0'),
        ('agent.n_step', True, 'agent.n_step: expected an integer, got True'),
        ('agent.n_step', 0, 'agent: n_step must be at least 1, got 0'),
        ('agent.discount', None, 'agent.discount: expected a finite number'),
        ('agent.discount', float('nan'), 'expected a finite number, got nan'),
        ('agent.double', 1, 'agent.double: expected true or false, got 1'),
        ('agent.loss', 'l2', 'agent.loss: expected one of huber, c51, got'),
        ('agent.clip', 'x', 'agent.clip: expected a finite number, got'),
        ('agent', 5, 'agent: expected a group of settings, got 5'),
        ('environment.frame_shape', 84, 'expected 2 values with commas'),
        ('environment.frame_shape', [84], 'environment.frame_shape: exp'),
        ('environment.frame_shape', [84, 'x'], "expected an integer, got 'x'"),
        ('environment.scores', ['x'], "expected a finite number, got 'x'"),
        ('agent.n_steps', 3, 'unknown setting agent.n_steps; did you mean n_s'),
    ],
)
def test_wrong_json_is_refused_by_name(path, value, message):
  data = settings.to_json_value(Run())
  *groups, leaf = path.split('.')
  at = data
  for group in groups:
    at = at[group]
  at[leaf] = value
  with pytest.raises(ValueError, match=message):
    settings.from_json_value(Run, data)


def test_missing_setting_is_named():
  data = settings.to_json_value(Run())
  del data['agent']['double']
  with pytest.raises(ValueError, match='the setting agent.double is missing'):
    settings.from_json_value(Run, data)


@pytest.mark.parametrize(
    'run',
    [
        Run(seed='1'),
        Run(agent=Agent(double=0)),
        Run(agent=Agent(clip=float('inf'))),
        Run(agent=Agent(loss='huber')),
        Run(environment=Environment(frame_shape=[84, 84])),
        Run(environment=Environment(scores=('x',))),
        Run(agent=Environment()),
    ],
)
def test_value_of_another_type_is_not_written(run):
  with pytest.raises(ValueError, match='expected'):
    settings.to_json_value(run)


def test_differences_are_named_with_both_values():
  old = {'a.x': 1, 'a.y': 'same', 'gone': None}
  new = {'a.x': 2.5, 'a.y': 'same', 'b': [1]}
  assert settings.describe_differences(old, new) == (
      'a.x was 1, is now 2.5; gone was null, is now absent; b was absent, is'
      ' now [1]'
  )
  assert settings.describe_differences(old, dict(old)) == ''


def test_type_that_no_setting_may_have():
  @dataclasses.dataclass(frozen=True)
  class Bad:
    x: complex = 1j

  with pytest.raises(TypeError, match='complex'):
    settings.to_json_value(Bad())


@dataclasses.dataclass(frozen=True)
class Scheduled:
  schedule: small_settings.Schedule = small_settings.Linear()


@pytest.mark.parametrize(
    ('schedule', 'expected'),
    [
        (small_settings.Linear(2.0), {'kind': 'linear', 'slope': 2.0}),
        (small_settings.Constant(3), {'kind': 'constant', 'value': 3}),
    ],
)
def test_a_group_of_several_kinds_states_its_kind(schedule, expected):
  value = settings.to_json_value(Scheduled(schedule))

  assert value == {'schedule': expected}
  assert settings.from_json_value(Scheduled, value) == Scheduled(schedule)


@pytest.mark.parametrize(
    ('value', 'message'),
    [
        ({'slope': 1.0}, 'schedule.kind: expected one of linear, constant'),
        ({'kind': 'cosine'}, "got 'cosine'"),
        ({'kind': 'constant', 'slope': 1.0}, 'unknown setting schedule.slope'),
        (3, 'schedule: expected a group'),
    ],
)
def test_a_wrong_kind_is_refused(value, message):
  with pytest.raises(ValueError, match=message):
    settings.from_json_value(Scheduled, {'schedule': value})


def test_a_group_of_no_known_kind_is_refused():
  with pytest.raises(ValueError, match='expected Linear or Constant'):
    settings.to_json_value(Scheduled(Agent()))
