"""Datasets that Minari's own collector wrote, as recordings."""

import sys

import numpy as np
import pytest

from rrl_pipeline import types
from rrl_pipeline.logs import minari_import
from rrl_pipeline.logs import reader
from rrl_pipeline.logs import recording

# Minari recommends to name an author and more.
pytestmark = pytest.mark.filterwarnings('ignore::UserWarning')

TERMINAL, TRUNCATED = types.EpisodeEnd.TERMINAL, types.EpisodeEnd.TRUNCATED


def test_without_minari_one_line_says_what_to_install(monkeypatch, tmp_path):
  monkeypatch.setitem(sys.modules, 'minari', None)
  with pytest.raises(ValueError, match=r"pip install 'minari\[hdf5,arrow\]>="):
    minari_import.import_dataset(
        minari_import.ImportConfig('a-v0', str(tmp_path / 'recording'))
    )
  assert not (tmp_path / 'recording').exists()


def _minari():
  return pytest.importorskip('minari', reason='the extra minari is missing')


@pytest.fixture(autouse=True)
def fixture_datasets(monkeypatch, tmp_path):
  monkeypatch.setenv('MINARI_DATASETS_PATH', str(tmp_path / 'minari'))


def _collect(observation_space, ends, data_format='hdf5', start=0, stack=None):
  """Collects episodes; returns what the environment and the agent did.

  Args:
    observation_space: of the environment.
    ends: (length, how it ends) of each episode; None if it is not finished.
    data_format: of Minari.
    start: number of the first action.
    stack: frames to stack along the first axis.
  """
  minari = _minari()
  import gymnasium

  rng = np.random.default_rng(0)
  truth = []

  class Environment(gymnasium.Env):

    def __init__(self):
      self.observation_space = observation_space
      self.action_space = gymnasium.spaces.Discrete(4, start=start)
      self._frames = []

    def _observation(self):
      shape = observation_space.shape[1:] if stack else observation_space.shape
      frame = np.asarray(
          rng.integers(0, 256, shape), observation_space.dtype
      )
      self._frames.append(frame)
      observation = (
          np.stack(self._frames[-stack:]) if stack else frame
      )
      truth[-1][0].append(frame)
      return observation

    def reset(self, *, seed=None, options=None):
      super().reset(seed=seed)
      truth.append(([], [], []))
      if stack:
        self._frames = [np.zeros(observation_space.shape[1:], np.uint8)] * (
            stack - 1
        )
      return self._observation(), {}

    def step(self, action):
      length, end = ends[len(truth) - 1]
      reward = float(rng.normal())
      truth[-1][1].append(action - start)
      truth[-1][2].append(reward)
      last = len(truth[-1][1]) == length
      return (
          self._observation(), reward, last and end is TERMINAL,
          last and end is TRUNCATED, {},
      )

  collector = minari.DataCollector(Environment(), data_format=data_format)
  for length, _ in ends:
    collector.reset()
    for _ in range(length):
      collector.step(np.int64(rng.integers(start, start + 4)))
  collector.create_dataset(
      'test/collected-v0', algorithm_name='random', author='somebody'
  )
  collector.close()
  return truth


def _import(tmp_path, dataset='test/collected-v0', **options):
  directory = str(tmp_path / 'recording')
  imported = minari_import.import_dataset(
      minari_import.ImportConfig(dataset, directory, **options)
  )
  log_reader = recording.RecordingReader(recording.RecordingConfig(directory))
  index = log_reader.index()
  assert imported == minari_import.Imported(
      directory, len(index.spans), index.accounting.transitions
  )
  return index, [
      (np.concatenate(list(stream.frames)), stream.actions, stream.rewards)
      for stream in log_reader.read(index.spans)
  ]


def _box(shape, dtype):
  spaces = pytest.importorskip(
      'gymnasium.spaces', reason='the extra minari is missing'
  )
  if dtype == np.uint8:
    return spaces.Box(0, 255, shape, dtype)
  return spaces.Box(-np.inf, np.inf, shape, dtype)


@pytest.mark.parametrize(
    'shape,dtype,data_format',
    [
        ((7,), np.float32, 'hdf5'),
        ((7,), np.float32, 'arrow'),
        ((7,), np.float32, 'parquet'),
        # Minari's collector fails to write these as hdf5.
        ((1, 40, 40), np.uint8, 'arrow'),
        ((1, 40, 40), np.uint8, 'parquet'),
    ],
)
def test_what_minari_collected_is_recorded(tmp_path, shape, dtype, data_format):
  space = _box(shape, dtype)
  truth = _collect(
      space, [(5, TERMINAL), (1, TRUNCATED), (8, None)], data_format
  )
  index, episodes = _import(tmp_path)
  assert [span.end for span in index.spans] == [TERMINAL, TRUNCATED, TRUNCATED]
  assert [span.length for span in index.spans] == [5, 1, 8]
  for (observations, actions, rewards), expected in zip(
      episodes, truth, strict=True
  ):
    wanted = np.stack(expected[0])
    if dtype == np.uint8:
      wanted = wanted[:, 0]  # The only channel.
    assert observations.dtype == dtype
    np.testing.assert_array_equal(observations, wanted)
    np.testing.assert_array_equal(actions, expected[1])
    np.testing.assert_array_equal(rewards, expected[2])
  assert index.metadata['minari']['dataset_id'] == 'test/collected-v0'
  assert index.metadata['minari']['algorithm_name'] == 'random'
  assert index.metadata['minari']['author'] == ['somebody']
  assert index.metadata['rewards'] == 'as the Minari dataset holds them'
  assert not index.losses


def test_actions_are_counted_from_zero(tmp_path):
  truth = _collect(_box((3,), np.float32), [(6, TERMINAL)], start=10)
  _, ((_, actions, _),) = _import(tmp_path)
  np.testing.assert_array_equal(actions, truth[0][1])
  assert 0 <= actions.min() <= actions.max() < 4


def test_pixels_that_jpeg_changed_are_reported(tmp_path):
  truth = _collect(_box((40, 40), np.uint8), [(3, TERMINAL)])
  index, ((observations, _, _),) = _import(tmp_path)
  assert index.frame_shape == (40, 40)
  assert (observations != np.stack(truth[0][0])).any()
  loss, = index.losses
  assert 'Minari stored the observations as JPEG' in loss


def test_the_newest_frame_of_a_stack_is_kept(tmp_path):
  truth = _collect(
      _box((4, 5, 5), np.uint8), [(6, TERMINAL), (3, TRUNCATED)], 'parquet',
      stack=4,
  )
  index, episodes = _import(tmp_path, stack_axis=0)
  assert index.frame_shape == (5, 5)
  for (observations, _, _), (frames, _, _) in zip(episodes, truth, strict=True):
    np.testing.assert_array_equal(observations, frames)


@pytest.mark.parametrize(
    'axis,message',
    [
        (1, 'along axis 1 the observations are no stacks of frames'),
        (3, r'stack_axis is 3, but .* have the shape \(4, 5, 5\)'),
        (-1, 'stack_axis is -1'),
    ],
)
def test_other_axes_are_no_stacks(tmp_path, axis, message):
  _collect(_box((4, 5, 5), np.uint8), [(6, TERMINAL)], 'parquet', stack=4)
  with pytest.raises(ValueError, match=message):
    _import(tmp_path, stack_axis=axis)


def test_an_import_goes_on_where_it_was(tmp_path, monkeypatch):
  _collect(_box((3,), np.float32), [(5, TERMINAL), (4, TERMINAL)] * 2)
  whole = minari_import.ImportConfig('test/collected-v0', str(tmp_path / 'a'))
  minari_import.import_dataset(whole)
  contents = {p.name: p.read_bytes() for p in (tmp_path / 'a').glob('[!.]*')}
  for name in sorted(contents)[2:4]:
    (tmp_path / 'a' / name).unlink()
  assert minari_import.import_dataset(whole).episodes == 4
  assert contents == {
      p.name: p.read_bytes() for p in (tmp_path / 'a').glob('[!.]*')
  }


def test_a_folder_is_a_name_too(tmp_path):
  _collect(_box((3,), np.float32), [(5, TERMINAL)])
  folder = tmp_path / 'minari' / 'test' / 'collected-v0'
  assert len(_import(tmp_path / 'a', str(folder))[1]) == 1
  assert len(_import(tmp_path / 'b', str(folder / 'data'))[1]) == 1


def test_a_missing_or_damaged_dataset_is_named(tmp_path):
  _minari()
  with pytest.raises(reader.LogError, match='test/collected-v0 is no Minari'):
    _import(tmp_path)
  with pytest.raises(reader.LogError, match='is no Minari dataset'):
    _import(tmp_path, str(tmp_path))
  _collect(_box((3,), np.float32), [(5, TERMINAL)])
  data = tmp_path / 'minari' / 'test' / 'collected-v0' / 'data'
  (data / 'main_data.hdf5').write_bytes(b'no hdf5')
  with pytest.raises(reader.LogError, match='collected-v0 is damaged'):
    _import(tmp_path)


def test_other_spaces_are_refused(tmp_path):
  minari = _minari()
  import gymnasium
  from minari.data_collector import EpisodeBuffer

  for number, (observation, action, message) in enumerate((
      (gymnasium.spaces.Dict(a=_box((2,), np.float32)),
       gymnasium.spaces.Discrete(2), 'the observation space of .* a Box'),
      (_box((2,), np.float32), _box((2,), np.float32),
       'the action space of .* a Discrete'),
  )):
    name = f'test/other-v{number}'
    values = np.zeros((2, 2), np.float32)
    minari.create_dataset_from_buffers(
        name,
        [EpisodeBuffer(
            observations=(
                {'a': values} if isinstance(observation, gymnasium.spaces.Dict)
                else values
            ),
            actions=np.zeros((1, *action.shape), action.dtype),
            rewards=[0.0], terminations=[True], truncations=[False], infos={},
        )],
        observation_space=observation, action_space=action,
    )
    with pytest.raises(ValueError, match=message):
      _import(tmp_path, name)


def test_an_episode_must_not_go_on_after_its_end(tmp_path):
  minari = _minari()
  import gymnasium
  from minari.data_collector import EpisodeBuffer

  minari.create_dataset_from_buffers(
      'test/odd-v0',
      [EpisodeBuffer(
          observations=np.zeros((4, 2), np.float32),
          actions=np.zeros(3, np.int64), rewards=[0.0] * 3,
          terminations=[False, True, False], truncations=[False] * 3, infos={},
      )],
      observation_space=_box((2,), np.float32),
      action_space=gymnasium.spaces.Discrete(2),
  )
  with pytest.raises(reader.LogError, match='episode 0 of .* after its step 1'):
    _import(tmp_path, 'test/odd-v0')
