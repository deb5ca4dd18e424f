"""Tests of converting work units."""

import dataclasses
import errno
import os
import subprocess
import sys

from apache_beam.testing import test_pipeline
from apache_beam.testing import util
import apache_beam as beam
import numpy as np
import pytest

from rrl_pipeline.beam_jobs import conversion_plan
from rrl_pipeline.beam_jobs import transforms
from rrl_pipeline.beam_jobs import work_directory
from rrl_pipeline.logs import dopamine_files
from rrl_pipeline.logs import formats
from rrl_pipeline.rlds import png
from rrl_pipeline.rlds import record_files
from rrl_pipeline.rlds import replay_datasets
from rrl_pipeline.rlds import record_validation
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import tf_example
from rrl_pipeline.rlds import validation
from rrl_pipeline.testing import replay_logs


@pytest.fixture(name='episodes')
def fixture_episodes():
  rng = np.random.default_rng(0)
  return [replay_logs.random_episode(rng, length) for length in (6, 9, 4)]


@pytest.fixture(name='job', params=record_files.FILE_FORMATS)
def fixture_job(tmp_path, episodes, request):
  log_dir = str(tmp_path / 'log')
  replay_logs.write_log(log_dir, episodes, capacity=50)
  work = work_directory.WorkDirectory(str(tmp_path / 'work'))
  with work.locked():
    work.begin({}, {})
  return transforms.ConversionJob(
      log=formats.LogConfig(log_dir, formats.DOPAMINE, '0'),
      work_dir=work.root,
      dataset=replay_datasets.known_dataset('atari_replay', 'Pong_run_1'),
      file_format=request.param,
      compressor=png.ZLIB,
      limits=validation.Limits(6, 4, ends_marked=True),
  )


def _units(job, num_shards=2):
  spans = formats.open_reader(job.log).index().spans
  layout = conversion_plan.ShardLayout('d', job.file_format, False)
  return conversion_plan.plan_units(spans, num_shards, layout, 'job')


def _shard(job, unit):
  return work_directory.WorkDirectory(job.work_dir).shard(unit.shard)


def test_manifest_says_what_the_shard_holds(job, episodes):
  unit = _units(job, 1)[0]
  manifest = transforms.convert_unit(job, unit)
  records = list(record_files.read(_shard(job, unit), job.file_format))
  assert manifest['episodes'] == len(records) == 3
  assert manifest['transitions'] == 6 + 9 + 4
  assert manifest['steps'] == 7 + 10 + 5
  assert manifest['record_bytes'] == sum(map(len, records))
  assert manifest['file_bytes'] == os.path.getsize(_shard(job, unit))
  assert not manifest['rejected'] and not manifest['cautions']
  assert (manifest['split'], manifest['checkpoint']) == ('train', 0)
  for record, episode in zip(records, episodes):
    feature = tf_example.parse(record).features.feature
    actions = feature[f'{schema.STEPS}/{schema.ACTION}'].int64_list.value
    assert list(actions) == [*episode.actions, 0]
  assert manifest['content_sha256'] == [
      tf_example.parse(record)
      .features.feature[schema.CONTENT_SHA256].bytes_list.value[0].decode()
      for record in records
  ]


def test_finished_unit_is_not_done_again(job):
  unit = _units(job)[0]
  manifest = transforms.convert_unit(job, unit)
  before = os.stat(_shard(job, unit)).st_mtime_ns
  assert transforms.convert_unit(job, unit) == manifest
  assert os.stat(_shard(job, unit)).st_mtime_ns == before


def test_broken_episode_is_left_out_and_listed(job):
  limits = dataclasses.replace(job.limits, num_actions=1)
  job = dataclasses.replace(job, limits=limits)
  (unit,) = _units(job, 1)
  spans = tuple(
      dataclasses.replace(span, source='file', first_slot=span.episode_id * 9)
      for span in unit.spans
  )
  manifest = transforms.convert_unit(
      job, dataclasses.replace(unit, spans=spans)
  )
  assert manifest['episodes'] == 0
  rejection = manifest['rejected'][1]
  assert (rejection['source'], rejection['first_slot']) == ('file', 9)
  assert (rejection['checkpoint'], rejection['episode']) == (0, 1)
  assert (rejection['first_add'], rejection['length']) == (3 + 6 + 3, 9)
  assert list(rejection['reasons']) == ['actions_are_in_range']
  assert manifest['content_sha256'] == [None] * 3


def test_record_that_breaks_a_rule_is_left_out_too(job, monkeypatch):
  monkeypatch.setattr(
      record_validation, 'violations', lambda record: {'a_rule': 'broken'}
  )
  manifest = transforms.convert_unit(job, _units(job, 1)[0])
  assert [r['reasons'] for r in manifest['rejected']] == [
      {'a_rule': 'broken'}
  ] * 3


def test_odd_episode_is_kept_and_listed(job, monkeypatch):
  monkeypatch.setattr(validation, 'cautions', lambda *_: {'a_rule': 'odd'})
  manifest = transforms.convert_unit(job, _units(job, 1)[0])
  assert manifest['episodes'] == 3
  assert [line['episode'] for line in manifest['cautions']] == [0, 1, 2]
  assert manifest['cautions'][0]['reasons'] == {'a_rule': 'odd'}


def test_transform_converts_all_units(job):
  units = _units(job, 3)
  with test_pipeline.TestPipeline(runner='FnApiRunner') as pipeline:
    converted = (
        pipeline | beam.Create(units) | transforms.ConvertLog(job)
    )
    util.assert_that(converted, util.equal_to([(0, 1), (1, 1), (2, 1)]))
  work = work_directory.WorkDirectory(job.work_dir)
  assert all(work.finished(unit.index, unit.fingerprint) for unit in units)
  assert work.steps_done(3) == 19


def test_damage_of_the_log_is_reported_in_a_file(job):
  units = _units(job, 1)
  path = dopamine_files.path_of(
      job.log.directory, dopamine_files.OBSERVATION, 0
  )
  with open(path, 'r+b') as file:
    file.truncate(os.path.getsize(path) - 100)
  with test_pipeline.TestPipeline(runner='FnApiRunner') as pipeline:
    _ = pipeline | beam.Create(units) | transforms.ConvertLog(job)
  work = work_directory.WorkDirectory(job.work_dir)
  (error,) = work.errors(1)
  assert path in error
  assert not os.listdir(work.dataset)


def test_full_disk_is_named_and_leaves_nothing(job, monkeypatch):
  def fail(*_):
    raise OSError(errno.ENOSPC, 'No space left on device')

  monkeypatch.setattr(tf_example, 'serialize', fail)
  unit = _units(job)[0]
  with pytest.raises(OSError, match='no space is left to write .* make room'):
    transforms.convert_unit(job, unit)
  assert not os.listdir(os.path.dirname(_shard(job, unit)))


def test_workers_load_nothing_heavy(job):
  """Loading TensorFlow would cost every worker seconds and half a gigabyte."""
  program = f'''
import sys
from rrl_pipeline.beam_jobs import conversion_plan
from rrl_pipeline.beam_jobs import transforms
from rrl_pipeline.logs import formats
from rrl_pipeline.rlds import replay_datasets
from rrl_pipeline.rlds import validation
log = formats.LogConfig({job.log.directory!r}, 'dopamine', '0')
job = transforms.ConversionJob(
    log, {job.work_dir!r},
    replay_datasets.known_dataset('balloon_replay', 'a_run_1'),
    {job.file_format!r}, None, validation.Limits(6, 4, True))
spans = formats.open_reader(log).index().spans
layout = conversion_plan.ShardLayout('d', job.file_format, False)
unit, = conversion_plan.plan_units(spans, 1, layout, 'other job')
print(list(transforms.ConvertUnits(job).process(unit)))
heavy = {{'tensorflow', 'reverb', 'rlds', 'acme'}} & set(sys.modules)
assert not heavy, heavy
'''
  result = subprocess.run(
      [sys.executable, '-c', program],
      capture_output=True, text=True, check=True,
  )
  assert result.stdout.strip() == '[(0, 3)]'
