"""Tests of networks that get foreign weights, against NumPy."""

import dataclasses
import pathlib

import numpy as np
import pytest

from rrl_pipeline.teachers import foreign_formats
from rrl_pipeline.teachers import foreign_network
from rrl_pipeline.teachers import foreign_teacher
from rrl_pipeline.teachers import numpy_forward
from rrl_pipeline.training import imported_network

_FOLDER = pathlib.Path(__file__).parents[1] / 'testdata' / 'teachers'
_ACTIONS = 3


def _read(name):
  return foreign_formats.read(
      foreign_teacher.Question(_FOLDER / name, _ACTIONS)).network


def _expected(folder):
  with np.load(_FOLDER / folder / 'expected.npz') as arrays:
    return dict(arrays)


@pytest.mark.parametrize('name, kind, algorithm', [
    ('dopamine/dqn/ckpt.3', 'nature', 'dqn'),
    ('dopamine/impala/ckpt.3', 'impala', 'dqn'),
    ('dopamine/rainbow/ckpt.3', 'nature', 'c51'),
    ('dopamine/full_rainbow/ckpt.3', 'nature', 'c51'),
    ('cleanrl/dqn_atari.cleanrl_model', 'nature', 'dqn'),
    ('cleanrl/c51_atari.cleanrl_model', 'nature', 'c51'),
])
def test_a_network_says_what_the_foreign_one_said(name, kind, algorithm):
  path = pathlib.Path(name)
  expected = _expected(path.parts[0])
  observations = expected['observations']
  made = imported_network.make(_read(name), observations.shape[1:])
  assert (made.network_config.kind, made.algorithm.kind) == (kind, algorithm)
  agent = path.parts[1] if path.name == 'ckpt.3' else path.stem
  np.testing.assert_allclose(
      made.network(observations), expected[agent], rtol=1e-4, atol=1e-5)


def test_quantiles_are_at_even_fractions():
  foreign = _read('dopamine/iqn/ckpt.3')
  observations = _expected('dopamine')['observations']
  made = imported_network.make(foreign, observations.shape[1:])
  assert made.algorithm.embedding_size == 64
  fractions = imported_network.quantiles()
  assert fractions.tolist() == [(k + 0.5) / 32 for k in range(32)]
  np.testing.assert_allclose(
      made.network(observations),
      numpy_forward.q_values(foreign, observations, fractions),
      rtol=1e-4, atol=1e-5)


def _layer(generator, *shape):
  return foreign_network.Layer(
      generator.normal(0, 0.3, shape).astype(np.float32),
      generator.normal(0, 0.3, shape[-1:]).astype(np.float32))


def _random(torso, algorithm, count, is_dueling=False, embedding=False):
  """A network of random weights on frames of 12x12, two filters each."""
  generator = np.random.default_rng(0)
  if torso == 'nature':
    convolutions = [(8, 4, 3), (4, 3, 2), (3, 2, 4)]
  else:
    convolutions = [(3, 4, 2), *[(3, 2, 2)] * 4, (3, 2, 3), *[(3, 3, 3)] * 4,
                    (3, 3, 4), *[(3, 4, 4)] * 4]
  features = 4 * 2 * 2
  return foreign_network.ForeignNetwork(
      torso=torso, algorithm=algorithm, num_actions=_ACTIONS, padding='same',
      is_channels_first=False,
      convolutions=tuple(
          _layer(generator, size, size, *channels)
          for size, *channels in convolutions),
      dense=foreign_network.Dense(
          _layer(generator, features, 5),
          _layer(generator, 5, _ACTIONS * count),
          _layer(generator, 5, count) if is_dueling else None,
          _layer(generator, 7, features) if embedding else None),
      atoms=np.linspace(-3, 3, count, dtype=np.float32)
      if algorithm == 'c51' else None)


@pytest.mark.parametrize('torso', ['nature', 'impala'])
@pytest.mark.parametrize('algorithm, count, options', [
    ('dqn', 1, {}), ('dqn', 1, {'is_dueling': True}),
    ('c51', 11, {}), ('c51', 11, {'is_dueling': True}),
    ('quantile', 9, {}), ('quantile', 9, {'is_dueling': True}),
    ('iqn', 1, {'embedding': True}),
])
def test_every_torso_has_every_head(torso, algorithm, count, options):
  foreign = _random(torso, algorithm, count, **options)
  foreign_network.check(foreign, 'a', 12)
  observations = np.random.default_rng(1).integers(
      0, 256, (3, 12, 12, 4), np.uint8)
  made = imported_network.make(foreign, (12, 12, 4))
  assert (made.network_config.kind, made.algorithm.kind) == (torso, algorithm)
  expected = numpy_forward.q_values(
      foreign, observations, imported_network.quantiles())
  assert np.ptp(expected) > 0.01
  np.testing.assert_allclose(
      made.network(observations), expected, rtol=1e-4, atol=1e-5)


def test_filters_of_a_stack_must_agree():
  foreign = _random('impala', 'dqn', 1)
  wrong = list(foreign.convolutions)
  wrong[2] = _layer(np.random.default_rng(0), 3, 3, 2, 5)
  with pytest.raises(ValueError, match='Convolution 2 .* 5 filters; expected'):
    foreign_network.check(
        dataclasses.replace(foreign, convolutions=tuple(wrong)), 'a', 12)


def test_uneven_atoms_are_refused():
  foreign = _random('nature', 'c51', 11)
  for atoms in (np.linspace(-1, 3, 11), np.linspace(-3, 3, 11) ** 3):
    with pytest.raises(ValueError, match='only even ones from -v_max'):
      imported_network.make(
          dataclasses.replace(foreign, atoms=atoms), (12, 12, 4))
