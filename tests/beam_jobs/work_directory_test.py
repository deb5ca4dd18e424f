"""Tests of the folder in which a conversion grows."""

import os
import subprocess
import sys

import pytest

from rrl_pipeline.beam_jobs import work_directory
from rrl_pipeline.logs import atomic

OPTIONS = {'checkpoints': '0', 'num_shards': 2}
SOURCES = {'0': [{'name': 'a', 'size': 1, 'crc32': 2}]}


@pytest.fixture(name='work')
def fixture_work(tmp_path):
  work = work_directory.WorkDirectory.beside(str(tmp_path / 'Pong' / '1.0.0'))
  with work.locked():
    work.begin(OPTIONS, SOURCES)
    yield work


def _finish(work, unit=0, fingerprint='f'):
  with open(work.shard(f'shard-{unit}'), 'wb') as file:
    file.write(b'12345')
  manifest = {
      'fingerprint': fingerprint,
      'shard': f'shard-{unit}',
      'file_bytes': 5,
  }
  work_directory.write_json(work.manifest(unit), manifest)
  return manifest


def test_folder_lies_beside_the_version(work, tmp_path):
  assert work.root == str(tmp_path / 'Pong' / '.work-1.0.0')


def test_unit_is_done_if_manifest_and_shard_are_there(work):
  assert work.finished(0, 'f') is None
  manifest = _finish(work)
  assert work.finished(0, 'f') == manifest
  assert work.finished(0, 'of another job') is None
  assert work.finished(1, 'f') is None


def test_unit_without_its_whole_shard_is_not_done(work):
  _finish(work)
  with open(work.shard('shard-0'), 'ab') as file:
    file.write(b'6')
  assert work.finished(0, 'f') is None
  os.remove(work.shard('shard-0'))
  assert work.finished(0, 'f') is None


def test_same_job_keeps_what_is_done(work):
  _finish(work)
  assert not work.begin(OPTIONS, SOURCES)
  assert work.finished(0, 'f')


def test_other_options_are_refused_and_named(work):
  _finish(work)
  with pytest.raises(
      work_directory.OtherJobError,
      match=r'.work-1.0.0 was made with other options: num_shards was 2 and is '
      r'3\. Give the same',
  ):
    work.begin({**OPTIONS, 'num_shards': 3}, SOURCES)
  assert work.finished(0, 'f')


def test_other_version_of_the_log_starts_anew(work):
  _finish(work)
  assert work.begin(OPTIONS, {'0': [{'name': 'a', 'size': 1, 'crc32': 3}]})
  assert work.finished(0, 'f') is None
  assert not os.listdir(work.dataset)


def test_leftovers_are_swept(work):
  leftover = os.path.join(work.dataset, f'{atomic.TEMPORARY_PREFIX}x-shard-0')
  with open(leftover, 'wb'):
    pass
  work_directory.write_json(work.progress(0), {'transitions': 7})
  work_directory.write_json(work.error(0), {'error': 'of an earlier run'})
  assert work.steps_done(1) == 7
  assert work.errors(1) == ['of an earlier run']
  work.begin(OPTIONS, SOURCES)
  assert not os.path.exists(leftover)
  assert not work.steps_done(1)
  assert not work.errors(1)


def test_second_process_is_refused(work):
  with pytest.raises(
      work_directory.BusyError,
      match=f'is in use by process {os.getpid()} on .*; wait',
  ):
    with work_directory.WorkDirectory(work.root).locked():
      pass


def test_lock_is_free_when_its_holder_was_killed(tmp_path):
  work = work_directory.WorkDirectory(str(tmp_path))
  program = (
      'import os, signal\n'
      'from rrl_pipeline.beam_jobs import work_directory\n'
      f'with work_directory.WorkDirectory({str(tmp_path)!r}).locked():\n'
      '  os.kill(os.getpid(), signal.SIGKILL)\n'
  )
  result = subprocess.run([sys.executable, '-c', program], check=False)
  assert result.returncode == -9
  with work.locked():
    pass


def test_failed_write_leaves_the_old_file(tmp_path):
  path = tmp_path / 'a.json'
  work_directory.write_json(str(path), {'a': 1})
  with pytest.raises(TypeError):
    work_directory.write_json(str(path), {'a': object()})
  assert work_directory.read_json(str(path)) == {'a': 1}
  assert os.listdir(tmp_path) == ['a.json']
