"""Tests of filling the offline store, and of the teacher's values beside it."""

import hashlib
import json
import types

import numpy as np
import pytest

from rrl_pipeline.replay import frame_store
from rrl_pipeline.training import offline_store

_ACTIONS = 3


class _Dataset:
  """Two episodes of single frames, as `loading.RldsDataset` gives them."""

  num_steps = 7
  frame_shape = (2, 2)

  def episodes(self, num_actions):
    for start, stop in ((0, 4), (4, 7)):
      numbers = np.arange(start, stop)
      is_last = numbers == stop - 1
      frames = (numbers + 1).astype(np.uint8)[:, None, None]
      yield frame_store.Rows(
          observation=np.broadcast_to(frames, (len(numbers), 2, 2)),
          action=(numbers % num_actions).astype(np.int32),
          reward=numbers.astype(np.float32),
          is_first=numbers == start,
          is_last=is_last,
          is_terminal=is_last & (start == 0),
          is_padded=np.ones(len(numbers), bool),
          teacher_values=np.zeros((len(numbers), num_actions), np.float32),
      )


class _Teacher:
  """Its values: the sum of the stack, the newest frame, its own number."""

  directory = 'some/bundle'

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


def _open(directory, max_memory_gib=1.0):
  return offline_store.open_store(
      _Dataset(), _ACTIONS, 2, directory, max_memory_gib
  )


def _annotate(store, teacher, directory, stored_sha256=None):
  offline_store.annotate(store, teacher, stored_sha256, directory)


def test_the_store_holds_the_dataset(tmp_path):
  store = _open(tmp_path)
  assert (store.num_added, store.oldest) == (7, 0)
  expected = list(_Dataset().episodes(_ACTIONS))
  for name, column in store.rows(0, 7)._asdict().items():
    np.testing.assert_array_equal(
        column, np.concatenate([getattr(rows, name) for rows in expected])
    )
  assert not list(tmp_path.iterdir())


def test_what_does_not_fit_memory_goes_to_a_file(tmp_path):
  in_memory = _open(tmp_path / 'a')
  mapped = _open(tmp_path / 'b', max_memory_gib=7 * 4 / 2**30 / 2)
  assert (tmp_path / 'b' / 'frames.npy').stat().st_size >= 7 * 4
  assert isinstance(mapped._rows.observation, np.memmap)
  for a, b in zip(in_memory.rows(0, 7), mapped.rows(0, 7), strict=True):
    np.testing.assert_array_equal(a, b)
  for a, b in zip(
      in_memory.sample(9, 2, 0.9, 0, 0), mapped.sample(9, 2, 0.9, 0, 0),
      strict=True,
  ):
    np.testing.assert_array_equal(a, b)


def test_sizes_are_in_gib():
  dataset = types.SimpleNamespace(num_steps=2**20, frame_shape=(84, 84))
  assert offline_store.frame_gib(dataset) == 7_056 / 1_024


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
