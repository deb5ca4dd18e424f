"""Real datasets, mixed and filtered, wherever their frames are kept."""

import os

import numpy as np
import pytest

from rrl_pipeline.beam_jobs import build_rlds
from rrl_pipeline.environments import atari
from rrl_pipeline.rlds import loading
from rrl_pipeline.teachers import bundle
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import offline_store

_LOGS = os.path.join(
    os.path.dirname(__file__), '..', 'testdata', 'dopamine'
)
_ACTIONS, _BATCH = 6, 16
# Two or three episodes of each log.
_FILTER = {'min_return': -19.0}
_PLACES = {
    'memory': {},
    'file': {'max_memory_gib': 0.01},
    # 3,804 of about 5,100 frames.
    'pool': {'max_memory_gib': 0.025, 'max_disk_gib': 0.0},
}


@pytest.fixture(scope='module', name='paths')
def fixture_paths(tmp_path_factory):
  directory = tmp_path_factory.mktemp('data')
  return [
      build_rlds.convert(
          build_rlds.BuildRldsConfig(
              log_dir=os.path.join(_LOGS, log, 'checkpoints'),
              data_dir=str(directory),
              game='Pong',
              run=run,
              checkpoints='all',
              num_actions=_ACTIONS,
          )
      ).path
      for run, log in enumerate(('wrapped', 'unwrapped'), 1)
  ]


@pytest.fixture(scope='module', name='directory')
def fixture_directory(tmp_path_factory):
  """Of the stage; the teacher's values are kept there once they are known."""
  return tmp_path_factory.mktemp('stage')


def _open(paths, directory, **settings):
  config = config_lib.OfflineConfig(
      mixing_weights=(3.0, 2.0), **_FILTER, **settings
  )
  datasets = [
      loading.RldsDataset(path, config.episode_filter()) for path in paths
  ]
  for dataset in datasets:
    assert (dataset.returns >= -19).all() and 1 < dataset.num_episodes < 5
  return offline_store.open_source(
      datasets,
      bundle.read(bundle.find('pong_dqn')),
      atari.AtariConfig(),
      _BATCH,
      config,
      directory,
      seed=1,
  )


def _sample(source, index):
  return source.sample(_BATCH, 3, 0.99, 7, index)


@pytest.fixture(
    scope='module', params=list(_PLACES.values()), ids=list(_PLACES), name='run'
)
def fixture_run(request, paths, directory):
  """The settings of a run, and its batches."""
  source = _open(paths, directory, **request.param)
  return request.param, [_sample(source, i) for i in range(120)]


def test_a_resumed_run_goes_on_with_its_very_next_batch(run, paths, directory):
  settings, batches = run
  source = _open(paths, directory, **settings)
  for index in (77, 78, 119):
    again = _sample(source, index)
    for name, column in batches[index]._asdict().items():
      np.testing.assert_array_equal(getattr(again, name), column, name)


@pytest.fixture(scope='module', name='known')
def fixture_known(paths, directory):
  """Every transition of the datasets: its frames and what is with them."""
  source = _open(paths, directory)
  known = {}
  for store in source._sources:
    numbers = np.arange(store.num_added)
    numbers = numbers[store.is_sampleable(numbers, 3)]
    for part in np.array_split(numbers, len(numbers) // 64):
      for fields in zip(*store.transitions(part, 3, 0.99), strict=True):
        known.setdefault(_key(fields), []).append(fields)
  return known


def _key(fields):
  observation, action, reward, discount, next_observation, _ = fields
  return (
      observation.tobytes(), next_observation.tobytes(), int(action),
      float(reward), float(discount),
  )


def test_all_batches_are_transitions_of_the_datasets(run, known):
  values = set()
  for batch in run[1]:
    for fields in zip(*batch, strict=True):
      same = known[_key(fields)]
      # The teacher was asked in other batches.
      np.testing.assert_allclose(
          fields[-1], same[0][-1], rtol=1e-4, atol=1e-5
      )
      values.add(fields[-1].tobytes())
  assert len(values) > 1_000


def test_placements_that_hold_all_give_the_same_batches(paths, directory):
  in_memory, mapped = (
      _open(paths, directory, **_PLACES[place])
      for place in ('memory', 'file')
  )
  for index in range(5):
    for a, b in zip(
        _sample(in_memory, index), _sample(mapped, index), strict=True
    ):
      np.testing.assert_array_equal(a, b)
