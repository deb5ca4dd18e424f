"""Tests of filling the offline store, and of the teacher's values beside it."""

import hashlib
import json
import types

import numpy as np
import pytest

from rrl_pipeline.environments import atari
from rrl_pipeline.replay import frame_store
from rrl_pipeline.replay import rolling_pool
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import offline_store

_ACTIONS = 3


class _Dataset:
  """Two episodes of single frames, as `loading.RldsDataset` gives them."""

  num_steps = 7
  num_episodes = 2
  lengths = np.array([4, 3])
  frame_shape = (2, 2)
  frame_dtype = np.dtype(np.uint8)
  teacher_sha256 = None

  def __init__(self, path, value=0):
    self.path = path
    self.fingerprint = path.name
    self.num_decoded = 0
    self._value = value

  def episodes(self, num_actions):
    for index in range(2):
      yield self.episode(index, num_actions)

  def episode(self, index, num_actions):
    self.num_decoded += 1
    start, stop = ((0, 4), (4, 7))[index]
    numbers = np.arange(start, stop)
    is_last = numbers == stop - 1
    frames = (numbers + 1).astype(np.uint8)[:, None, None]
    values = np.full((len(numbers), num_actions), self._value, np.float32)
    return frame_store.Rows(
        observation=np.broadcast_to(frames, (len(numbers), 2, 2)),
        action=(numbers % num_actions).astype(np.int32),
        reward=numbers.astype(np.float32),
        is_first=numbers == start,
        is_last=is_last,
        is_terminal=is_last & (start == 0),
        is_padded=np.ones(len(numbers), bool),
        teacher_values=values,
    )


class _Teacher:
  """Its values: the sum of the stack, the newest frame, its own number."""

  directory = 'some/bundle'
  num_actions = _ACTIONS

  def __init__(self, number):
    self.sha256 = hashlib.sha256(bytes([number])).hexdigest()
    self.num_loaded = 0
    self.num_asked = 0
    self._number = number

  def load(self):
    self.num_loaded += 1
    return self

  def values(self, observation):
    self.num_asked += len(observation)
    stack = observation[:, 0, 0].astype(np.float32)
    values = np.stack(
        [stack.sum(axis=1), stack[:, -1], np.full(len(stack), self._number)], 1
    )
    return types.SimpleNamespace(numpy=lambda: values)


_FRAMES_GIB = 7 * 4 / 2**30
_IN_FILE = {'max_memory_gib': _FRAMES_GIB / 2}
_IN_POOL = {'max_memory_gib': _FRAMES_GIB * 0.7, 'max_disk_gib': 0.0}


def _open_source(directory, *datasets, teacher=None, seed=3, **settings):
  return offline_store.open_source(
      datasets or (_Dataset(directory / 'data' / '1.0.0'),),
      teacher or _Teacher(5),
      environment_config=atari.AtariConfig(stack_size=2),
      batch_size=9,
      config=config_lib.OfflineConfig(**settings),
      directory=directory / 'stage',
      seed=seed,
  )


def _open(directory):
  """A store of the dataset, no teacher asked."""
  return frame_store.FrameStore.of(
      frame_store.Rows(
          *map(
              np.concatenate,
              zip(*_Dataset(directory).episodes(_ACTIONS), strict=True),
          )
      ),
      stack_size=2,
  )


def _sample(source, index=0):
  return source.sample(9, 2, 0.9, 0, index)


def _assert_equal(first, second):
  for a, b in zip(first, second, strict=True):
    np.testing.assert_array_equal(a, b)


def _annotate(store, teacher, directory, stored_sha256=None):
  offline_store.annotate(store, teacher, stored_sha256, directory)


def test_a_dataset_in_memory_is_a_store_with_the_teachers_values(tmp_path):
  source = _open_source(tmp_path)
  expected = _open(tmp_path)
  _annotate(expected, _Teacher(5), tmp_path / 'other')
  assert (source.num_added, source.oldest) == (7, 0)
  _assert_equal(source.rows(0, 7), expected.rows(0, 7))
  # Nothing but the values is written.
  assert {path.name for path in tmp_path.rglob('*')} == {
      'stage', 'other', 'teacher_values.npy', 'teacher_values.json'
  }


def test_a_mapped_file_gives_the_same_batches_and_is_shared(tmp_path):
  in_memory = _open_source(tmp_path / 'a')
  dataset = _Dataset(tmp_path / 'data' / '1.0.0')
  for run in 'bc':
    mapped = _open_source(tmp_path / run, dataset, **_IN_FILE)
    assert isinstance(mapped._frames._frames, np.memmap)
    for index in range(5):
      _assert_equal(_sample(mapped, index), _sample(in_memory, index))
  assert dataset.num_decoded == 2
  # Beside the dataset, not in it.
  (folder,) = (tmp_path / 'data').glob('frames-*[!k]')
  assert {path.name for path in folder.iterdir()} == {
      'frames.npy', 'columns.npz'
  }


def test_a_mapped_file_can_be_elsewhere(tmp_path):
  _open_source(tmp_path, cache_dir=str(tmp_path / 'cache'), **_IN_FILE)
  assert list((tmp_path / 'cache').glob('frames-*/frames.npy'))
  assert not (tmp_path / 'data').exists()


def test_other_data_has_another_file(tmp_path):
  for version in ('1.0.0', '1.0.1'):
    dataset = _Dataset(tmp_path / 'data' / version)
    _open_source(tmp_path / version, dataset, **_IN_FILE)
    assert dataset.num_decoded == 2


def test_what_fits_nowhere_rolls_through_a_pool(tmp_path):
  teacher = _Teacher(5)
  source = _open_source(tmp_path, teacher=teacher, **_IN_POOL)
  assert isinstance(source, rolling_pool.RollingPool)
  whole = _open_source(tmp_path / 'whole')
  known = {
      row.tobytes(): (action, values.tolist())
      for row, action, values in zip(
          whole.stacks(np.arange(7)), whole.rows(0, 7).action,
          whole.teacher_values, strict=True,
      )
  }
  seen = set()
  for index in range(30):
    batch = _sample(source, index)
    for row, action, values in zip(
        batch.observation, batch.action, batch.extras, strict=True
    ):
      assert known[row.tobytes()] == (action, values.tolist())
      seen.add(row.tobytes())
  assert len(seen) == 5  # All but the two last rows of the episodes.
  again = _open_source(tmp_path, teacher=_Teacher(5), **_IN_POOL)
  _assert_equal(_sample(again, 29), batch)
  assert not (tmp_path / 'data').exists()
  # Each row was asked for when it entered: 5 a pass and 9 rows a batch.
  assert teacher.num_asked >= 29 * 9


def test_a_pool_whose_rows_have_values_needs_no_teacher(tmp_path):
  teacher = _Teacher(5)
  dataset = _Dataset(tmp_path / '1.0.0', value=4)
  dataset.teacher_sha256 = teacher.sha256
  source = _open_source(tmp_path, dataset, teacher=teacher, **_IN_POOL)
  assert (_sample(source).extras == 4).all() and teacher.num_loaded == 0


def test_fewer_rows_are_decoded_if_they_are_drawn_more_often(tmp_path):
  decoded = []
  for draws in (1.0, 6.0):
    dataset = _Dataset(tmp_path / '1.0.0')
    source = _open_source(tmp_path, dataset, draws_per_row=draws, **_IN_POOL)
    for index in range(60):
      _sample(source, index)
    decoded.append(dataset.num_decoded)
  assert decoded[0] == pytest.approx(6 * decoded[1], rel=0.2)


@pytest.mark.parametrize(
    'place, weights',
    [
        ({}, (4.0, 1.0)),
        (_IN_FILE, (4.0, 1.0)),
        # Both parts of the pool must hold an episode.
        (_IN_POOL, (1.2, 1.0)),
    ],
)
def test_datasets_are_mixed_by_weight(tmp_path, place, weights):
  teacher = _Teacher(5)
  datasets = [
      _Dataset(tmp_path / str(i) / '1.0.0', value=10 * i) for i in range(2)
  ]
  for dataset in datasets:
    dataset.teacher_sha256 = teacher.sha256
  place = {name: 2 * value for name, value in place.items()}

  def shares(**settings):
    source = _open_source(
        tmp_path, *datasets, teacher=teacher, **place, **settings
    )
    drawn = [_sample(source, index).extras[:, 0] for index in range(300)]
    return np.mean(np.concatenate(drawn) == 10)

  assert shares() == pytest.approx(1 / 2, abs=0.02)
  assert shares(mixing_weights=weights) == pytest.approx(
      weights[1] / sum(weights), abs=0.02
  )


def test_values_of_mixed_datasets_are_kept_apart(tmp_path):
  datasets = [_Dataset(tmp_path / str(i) / '1.0.0') for i in range(2)]
  _open_source(tmp_path, *datasets)
  teacher = _Teacher(5)
  _open_source(tmp_path, *datasets, teacher=teacher)
  assert teacher.num_loaded == 0
  assert len(list(tmp_path.glob('stage/dataset_*/teacher_values.npy'))) == 2


@pytest.mark.parametrize(
    'shape, dtype, size',
    [((84, 84), np.uint8, 7_056), ((1_099,), np.float32, 4_396)],
)
def test_size_of_an_observation(shape, dtype, size):
  dataset = types.SimpleNamespace(
      frame_shape=shape, frame_dtype=np.dtype(dtype)
  )
  assert offline_store.frame_bytes(dataset) == size


def test_the_teacher_sees_every_stack_once(tmp_path, monkeypatch):
  monkeypatch.setattr(offline_store, '_BATCH', 3)
  store, teacher = _open(tmp_path), _Teacher(5)
  _annotate(store, teacher, tmp_path)
  assert teacher.num_asked == 7
  # Frames are 1 … 7; a stack of two has a zero before an episode's first.
  np.testing.assert_array_equal(
      store.teacher_values,
      [[1, 1, 5], [3, 2, 5], [5, 3, 5], [7, 4, 5],
       [5, 5, 5], [11, 6, 5], [13, 7, 5]],
  )


def test_values_are_kept_for_the_same_teacher(tmp_path):
  first = _open(tmp_path)
  _annotate(first, _Teacher(5), tmp_path)
  again, teacher = _open(tmp_path), _Teacher(5)
  _annotate(again, teacher, tmp_path)
  assert teacher.num_loaded == teacher.num_asked == 0
  np.testing.assert_array_equal(again.teacher_values, first.teacher_values)


def test_values_of_the_dataset_make_the_teacher_superfluous(tmp_path):
  store, teacher = _open(tmp_path), _Teacher(5)
  store.teacher_values[...] = 7
  _annotate(store, teacher, tmp_path, stored_sha256=teacher.sha256)
  assert teacher.num_loaded == teacher.num_asked == 0
  assert (store.teacher_values == 7).all()
  assert not list(tmp_path.iterdir())


def test_values_of_another_teacher_in_the_dataset_are_left_aside(
    tmp_path, capsys
):
  store, teacher, other = _open(tmp_path), _Teacher(5), _Teacher(6)
  store.teacher_values[...] = 7
  _annotate(store, teacher, tmp_path, stored_sha256=other.sha256)
  assert (
      f'warning: the dataset holds the values of the teacher '
      f'{other.sha256[:12]}…, but this run is taught by {teacher.sha256[:12]}…'
  ) in capsys.readouterr().err
  assert teacher.num_asked == 7
  assert set(store.teacher_values[:, 2]) == {5}


def test_another_teacher_is_asked_anew(tmp_path):
  _annotate(_open(tmp_path), _Teacher(5), tmp_path)
  store, teacher = _open(tmp_path), _Teacher(6)
  _annotate(store, teacher, tmp_path)
  assert teacher.num_asked == 7
  assert set(store.teacher_values[:, 2]) == {6}


def test_another_number_of_rows_is_asked_anew(tmp_path):
  _annotate(_open(tmp_path), _Teacher(5), tmp_path)
  note = tmp_path / 'teacher_values.json'
  content = json.loads(note.read_text())
  note.write_text(json.dumps(content | {'rows': 6}))
  teacher = _Teacher(5)
  _annotate(_open(tmp_path), teacher, tmp_path)
  assert teacher.num_asked == 7


@pytest.mark.parametrize(
    'module, function',
    [(offline_store.np, 'save'), (offline_store.run_directory, 'write_json')],
)
def test_values_that_were_not_kept_are_asked_for_again(
    tmp_path, monkeypatch, module, function
):
  _annotate(_open(tmp_path), _Teacher(5), tmp_path)

  def crash(*unused_args, **unused_kwargs):
    raise KeyboardInterrupt

  monkeypatch.setattr(module, function, crash)
  with pytest.raises(KeyboardInterrupt):
    _annotate(_open(tmp_path), _Teacher(6), tmp_path)
  monkeypatch.undo()
  # Neither teacher's values are taken for granted now.
  for number in (6, 5):
    store, teacher = _open(tmp_path), _Teacher(number)
    _annotate(store, teacher, tmp_path)
    assert teacher.num_asked == 7
    assert set(store.teacher_values[:, 2]) == {number}
