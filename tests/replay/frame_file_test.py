"""Tests of decoded rows in files: written once, whole, and shared."""

import multiprocessing
import os
import time

import numpy as np
import pytest

from rrl_pipeline.replay import frame_file
from rrl_pipeline.replay import frame_store

_KEY, _SHAPE, _LENGTHS = 'a' * 64, (3, 2), (4, 7, 5)


def _episodes():
  generator = np.random.default_rng(0)
  for length in _LENGTHS:
    t = np.arange(length)
    yield frame_store.Rows(
        observation=generator.integers(0, 256, (length, *_SHAPE), np.uint8),
        action=generator.integers(0, 5, length).astype(np.int32),
        reward=generator.normal(size=length).astype(np.float32),
        is_first=t == 0,
        is_last=t == length - 1,
        is_terminal=(t == length - 1) & (length > 4),
        is_padded=np.full(length, length != 7),
        teacher_values=generator.normal(size=(length, 5)).astype(np.float32),
    )


def _never():
  raise AssertionError('The rows are there already.')


def _open(directory, decode=_episodes, key=_KEY):
  return frame_file.open_rows(directory, key, 16, _SHAPE, np.uint8, decode)


def _assert_whole(rows):
  for name, column in rows._asdict().items():
    expected = np.concatenate([getattr(r, name) for r in _episodes()])
    np.testing.assert_array_equal(column, expected)
    assert column.dtype == expected.dtype


def test_rows_are_decoded_once(tmp_path):
  directory = tmp_path / 'a' / 'b'
  _assert_whole(_open(directory))
  _assert_whole(_open(directory, _never))
  assert frame_file.folder(directory, _KEY).is_dir()


def test_frames_are_mapped_and_cannot_be_changed(tmp_path):
  rows = _open(tmp_path)
  assert isinstance(rows.observation, np.memmap)
  with pytest.raises(ValueError, match='read-only'):
    rows.observation[0] = 0
  rows.teacher_values[...] = 0  # In memory; the file stays.
  _assert_whole(_open(tmp_path, _never))


def test_a_store_of_the_file_is_a_store_in_memory(tmp_path):
  mapped = frame_store.FrameStore.of(_open(tmp_path), 4)
  in_memory = frame_store.FrameStore(16, _SHAPE, 5, 4)
  for rows in _episodes():
    in_memory.extend(rows)
  for index in range(20):
    for a, b in zip(
        mapped.sample(9, 3, 0.9, 0, index),
        in_memory.sample(9, 3, 0.9, 0, index),
        strict=True,
    ):
      np.testing.assert_array_equal(a, b)


def test_other_rows_have_files_of_their_own(tmp_path):
  _open(tmp_path)
  with pytest.raises(AssertionError):
    _open(tmp_path, _never, key='b' * 64)


def _crash():
  yield next(_episodes())
  raise KeyboardInterrupt


def test_what_was_not_finished_is_begun_anew(tmp_path):
  with pytest.raises(KeyboardInterrupt):
    _open(tmp_path, _crash)
  path = frame_file.folder(tmp_path, _KEY)
  assert not path.exists()
  # A process that is killed cannot clean up.
  left = path.with_suffix('.incomplete')
  left.mkdir()
  (left / 'frames.npy').write_bytes(b'torn')
  _assert_whole(_open(tmp_path))
  assert not left.exists()


def test_too_few_rows_are_noticed(tmp_path):
  with pytest.raises(ValueError, match='Decoded 4 rows instead of 16'):
    _open(tmp_path, lambda: [next(_episodes())])
  assert not frame_file.folder(tmp_path, _KEY).exists()


def _work(directory, mark):
  def slowly():
    with open(mark, 'ab') as file:
      file.write(b'x')
    for rows in _episodes():
      time.sleep(0.2)
      yield rows

  _assert_whole(_open(directory, slowly))


def test_processes_that_start_together_decode_once(tmp_path):
  context = multiprocessing.get_context('fork')
  mark = tmp_path / 'mark'
  processes = [
      context.Process(target=_work, args=(tmp_path, mark)) for _ in range(3)
  ]
  for process in processes:
    process.start()
  for process in processes:
    process.join(60)
  assert [process.exitcode for process in processes] == [0] * 3
  assert mark.read_bytes() == b'x'


def test_a_disk_that_is_too_small_is_said_before(tmp_path):
  with pytest.raises(
      ValueError, match=r'take 17600000\.0 GB, but .* GB left\. .*cache_dir'
  ):
    frame_file.open_rows(tmp_path, _KEY, 11 * 10**14, (4, 4), np.uint8, _never)
  assert not list(tmp_path.glob('*.incomplete'))


def test_a_directory_that_cannot_be_written_is_said(tmp_path):
  (tmp_path / 'file').touch()
  with pytest.raises(ValueError, match='cannot be written to .*cache_dir=DIR'):
    _open(tmp_path / 'file' / 'x')
  assert os.listdir(tmp_path) == ['file']
