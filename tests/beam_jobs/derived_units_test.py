"""Tests of the workers' side of derived datasets."""

import json
import os

import pytest

from rrl_pipeline.beam_jobs import derived_units
from rrl_pipeline.beam_jobs import source_dataset
from rrl_pipeline.beam_jobs import work_directory
from rrl_pipeline.rlds import record_files
from rrl_pipeline.rlds import tf_example


def _record(number, num_steps=3):
  return tf_example.serialize({
      'episode_id': number,
      'steps': {'action': [0] * num_steps},
  })


_RECORDS = {'first': [_record(i) for i in range(5)],
            'second': [_record(10 + i, 7) for i in range(4)]}


@pytest.fixture(name='job', params=record_files.FILE_FORMATS)
def fixture_job(request, tmp_path):
  for name, records in _RECORDS.items():
    path = str(tmp_path / name)
    with record_files.open_writer(path, request.param) as writer:
      for record in records:
        writer.write(record)
  work = work_directory.WorkDirectory(str(tmp_path / 'work'))
  work.begin({}, {})
  return derived_units.DerivedJob(
      str(tmp_path), request.param, record_files.TFRECORD, work.root
  )


def _unit(*parts, fingerprint='a'):
  return derived_units.DerivedUnit(
      0, 'train', 'shard', tuple(derived_units.Part(*p) for p in parts),
      num_steps=1, num_bytes=1, fingerprint=fingerprint,
  )


def test_a_unit_reads_its_records_in_their_order(job):
  unit = _unit(('second', (1, 3)), ('first', (0, 1, 4)))
  assert unit.num_episodes == 5
  first, second = _RECORDS['first'], _RECORDS['second']
  assert list(derived_units.read_unit(job, unit)) == [
      second[1], second[3], first[0], first[1], first[4]
  ]


def test_a_record_that_is_not_there_is_named(job):
  with pytest.raises(
      source_dataset.SourceError, match='first has no record 5'
  ):
    list(derived_units.read_unit(job, _unit(('first', (1, 5)))))


def test_the_manifest_says_what_the_shard_holds(job):
  unit = _unit(('first', (2,)), ('second', (0, 1)))
  do_fn = derived_units.DeriveUnits(job, lambda record: record)
  assert list(do_fn.process(unit)) == [(0, 3)]
  manifest = job.work.finished(0, 'a')
  path = job.work.shard('shard')
  records = list(record_files.read(path, job.file_format))
  assert records == [_RECORDS['first'][2], *_RECORDS['second'][:2]]
  assert manifest['episodes'] == 3
  assert manifest['steps'] == 3 + 7 + 7
  # Records that do not say how long they are have a void last step.
  assert manifest['transitions'] == 2 + 6 + 6
  assert manifest['record_bytes'] == sum(map(len, records))
  assert manifest['file_bytes'] == os.path.getsize(path)
  assert job.work.steps_done(1) == 17


def test_a_finished_unit_is_not_done_again(job):
  unit = _unit(('first', (2,)))
  do_fn = derived_units.DeriveUnits(job, lambda record: record)
  assert list(do_fn.process(unit)) == [(0, 1)]

  def fail(_):
    raise AssertionError('it was done again')

  again = derived_units.DeriveUnits(job, fail)
  assert list(again.process(unit)) == [(0, 1)]
  other = _unit(('first', (2,)), fingerprint='b')
  with pytest.raises(AssertionError):
    list(again.process(other))


def test_what_is_wrong_with_a_record_is_left_for_the_main_process(job):
  def refuse(_):
    raise ValueError('episode 2 is odd')

  do_fn = derived_units.DeriveUnits(job, refuse)
  assert not list(do_fn.process(_unit(('first', (2,)))))
  assert job.work.errors(1) == ['shard: episode 2 is odd']
  assert not os.path.exists(job.work.shard('shard'))
  assert not os.listdir(job.work.dataset)


def test_a_heartbeat_is_heard_now_and_then(job, monkeypatch):
  clock = iter([0.0, 0.1, 1.5, 1.5, 1.6])
  monkeypatch.setattr(derived_units.time, 'monotonic', lambda: next(clock))
  heartbeat = derived_units.Heartbeat(job, _unit(('first', (2,))))
  path = job.work.progress(0)
  heartbeat.advance(10)
  assert not os.path.exists(path)
  heartbeat.advance(10)
  heartbeat.advance(10)
  with open(path, encoding='utf-8') as file:
    assert json.load(file) == {'transitions': 20}
