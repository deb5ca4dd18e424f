"""What a learner samples from a dataset of arrays is what was played."""

import numpy as np
import pytest
import tensorflow as tf

from rrl_pipeline.beam_jobs import annotate_teacher
from rrl_pipeline.beam_jobs import build_rlds
from rrl_pipeline.rlds import loading
from rrl_pipeline.teachers import balloon
from rrl_pipeline.teachers import bundle
from rrl_pipeline.testing import datasets
from rrl_pipeline.testing import small_environments
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import offline_store

_CONFIGS = (
    small_environments.SmallConfig((7,), 'float32'),
    small_environments.SmallConfig((10, 10, 4), 'uint8'),
    small_environments.SmallConfig((5, 6), 'float32'),
)
_N_STEP = 3
_DISCOUNT = 0.9
_EPISODES = 5
_POOL_ROWS = 20


def _observation_shape(config):
  # Images of rank two have the place of a stack.
  return (*config.shape, 1) if len(config.shape) == 2 else config.shape


@pytest.fixture(
    scope='module', name='made', params=_CONFIGS, ids=lambda c: str(c.shape)
)
def fixture_made(request, tmp_path_factory):
  """A configuration, its dataset and a teacher."""
  config = request.param
  directory = tmp_path_factory.mktemp('made')
  small_environments.record(
      directory / 'log', config, num_writers=1, num_episodes=_EPISODES
  )
  summary = build_rlds.convert(
      build_rlds.BuildRldsConfig(
          str(directory / 'log'), str(directory / 'data'),
          dataset='small_replay',
      )
  )
  layers = tf.keras.layers
  network = tf.keras.Sequential([
      layers.Input(_observation_shape(config), dtype=config.dtype),
      layers.Lambda(lambda x: tf.cast(x, tf.float32)),
      layers.Flatten(),
      layers.Dense(3, kernel_initializer=tf.keras.initializers.GlorotUniform(0)),
  ])
  bundle.export(
      directory / 'teacher',
      network,
      bundle.Description(
          kind='q_values',
          observation_shape=_observation_shape(config),
          observation_dtype=config.dtype,
          action_meanings=('LEFT', 'STAY', 'RIGHT'),
          environment={'kind': 'small'},
          score={},
          lineage={},
      ),
  )
  return config, summary.path, bundle.read(directory / 'teacher')


def _expected(config, teacher):
  """Every transition, by its observation's bytes, from play in a loop."""
  found = {}
  environment = small_environments.SmallEnvironment(config, seed=0)
  for number in range(_EPISODES):
    rng = np.random.default_rng(number)
    timestep = environment.reset()
    observations, actions, rewards = [timestep.observation], [], []
    while not timestep.last():
      actions.append(rng.integers(small_environments.NUM_ACTIONS))
      timestep = environment.step(actions[-1])
      observations.append(timestep.observation)
      rewards.append(np.float32(timestep.reward))
    values = np.asarray(
        teacher.values(
            np.reshape(observations, (-1, *_observation_shape(config)))
        )
    )
    for t, observation in enumerate(observations[:-1]):
      length = min(_N_STEP, len(actions) - t)
      reached_end = t + length == len(actions) and timestep.discount == 0
      found[observation.tobytes()] = (
          actions[t],
          sum(_DISCOUNT**j * rewards[t + j] for j in range(length)),
          0.0 if reached_end else _DISCOUNT**length,
          observations[t + length],
          values[t],
      )
  return found


def _check(source, config, teacher):
  expected = _expected(config, teacher.load())
  seen = set()
  for index in range(20):
    batch = source.sample(16, _N_STEP, _DISCOUNT, seed=0, index=index)
    for observation, action, reward, discount, following, values in zip(*batch):
      assert observation.dtype == config.dtype
      assert observation.shape == _observation_shape(config)
      played = expected[np.ascontiguousarray(observation).tobytes()]
      assert action == played[0]
      # Rewards are raw: this environment has no limit.
      np.testing.assert_allclose(reward, played[1], rtol=1e-5, atol=1e-6)
      np.testing.assert_allclose(discount, played[2], rtol=1e-6)
      np.testing.assert_array_equal(
          following.reshape(config.shape), played[3]
      )
      np.testing.assert_allclose(values, played[4], rtol=1e-4, atol=1e-5)
      seen.add(np.ascontiguousarray(observation).tobytes())
  return len(seen) / len(expected)


def _open(path, config, teacher, directory, **settings):
  return offline_store.open_source(
      [loading.RldsDataset(path)], teacher, config, batch_size=16,
      config=config_lib.OfflineConfig(**settings),
      directory=directory / 'stage', seed=0,
  )


@pytest.mark.parametrize('place', ['memory', 'file', 'pool'])
def test_transitions_are_those_played(made, tmp_path, place):
  config, path, teacher = made
  row_bytes = np.zeros(config.shape, config.dtype).nbytes
  settings = {
      'memory': {},
      'file': {'max_memory_gib': 1e-9, 'cache_dir': str(tmp_path)},
      'pool': {
          'max_memory_gib': _POOL_ROWS * row_bytes / 2**30, 'max_disk_gib': 0.0
      },
  }
  source = _open(path, config, teacher, tmp_path, **settings[place])
  assert _check(source, config, teacher) > 0.9


def test_a_dataset_holds_the_teachers_values(made, tmp_path, monkeypatch):
  config, path, teacher = made
  summary = annotate_teacher.annotate(
      annotate_teacher.AnnotateTeacherConfig(
          path, str(teacher.directory), str(tmp_path / 'data')
      )
  )
  assert summary.path.endswith('small_replay/random_run_1/1.1.0')
  loaded = teacher.load()
  with monkeypatch.context() as patch:
    # It need not be asked any more.
    patch.setattr(bundle.Bundle, 'load', None)
    source = _open(summary.path, config, teacher, tmp_path)
  monkeypatch.setattr(bundle.Bundle, 'load', lambda _: loaded)
  assert _check(source, config, teacher) > 0.9


def test_a_teacher_is_found_by_the_names_that_the_launcher_takes(tmp_path):
  small_environments.record(
      tmp_path / 'log', small_environments.SmallConfig((1099,)),
      num_writers=1, num_episodes=2,
  )
  data_dir = str(tmp_path / 'data')
  summary = build_rlds.convert(
      build_rlds.BuildRldsConfig(
          str(tmp_path / 'log'), data_dir, dataset='small_replay'
      )
  )
  code = annotate_teacher.main([
      f'--dataset={summary.path}', '--teacher=station_seeker',
      f'--data_dir={data_dir}',
  ])
  assert code == 0
  network = balloon.make_network('station_seeker')
  path = summary.path.replace('1.0.0', '1.1.0')
  for _, steps in datasets.load(path):
    np.testing.assert_array_equal(
        steps['teacher_values'], network(steps['observation'])
    )


@pytest.mark.parametrize(
    'changes, message',
    [
        (
            {'observation_shape': (6,)},
            r'sees observations of \(6,\), those of .* are \(7,\)',
        ),
        (
            {'observation_dtype': 'float64'},
            r'of \(7,\) float64, those of .* are \(7,\) float32',
        ),
    ],
)
def test_a_teacher_of_other_observations_is_refused(
    tmp_path, changes, message
):
  small_environments.record(tmp_path / 'log', num_writers=1, num_episodes=1)
  summary = build_rlds.convert(
      build_rlds.BuildRldsConfig(
          str(tmp_path / 'log'), str(tmp_path), dataset='small_replay'
      )
  )
  description = {
      'observation_shape': (7,), 'observation_dtype': 'float32', **changes
  }
  shape = description['observation_shape']
  network = tf.keras.Sequential([
      tf.keras.layers.Input(shape, dtype=description['observation_dtype']),
      tf.keras.layers.Dense(3),
  ])
  bundle.export(
      tmp_path / 'teacher',
      network,
      bundle.Description(
          kind='q_values', action_meanings=('LEFT', 'STAY', 'RIGHT'),
          environment={}, score={}, lineage={}, **description,
      ),
  )
  with pytest.raises(ValueError, match=message):
    annotate_teacher.annotate(
        annotate_teacher.AnnotateTeacherConfig(
            summary.path, str(tmp_path / 'teacher'), str(tmp_path)
        )
    )
