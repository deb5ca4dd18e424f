"""Tests that a conversion is proven before it becomes a dataset."""

import hashlib
import json
import os
import pathlib

import numpy as np
import pytest

from rrl_pipeline import types
from rrl_pipeline.beam_jobs import conversion_plan
from rrl_pipeline.beam_jobs import finalize
from rrl_pipeline.beam_jobs import transforms
from rrl_pipeline.beam_jobs import work_directory
from rrl_pipeline.logs import formats
from rrl_pipeline.logs import reader
from rrl_pipeline.rlds import png
from rrl_pipeline.rlds import record_files
from rrl_pipeline.rlds import replay_datasets
from rrl_pipeline.rlds import validation
from rrl_pipeline.testing import replay_logs

DATASET = replay_datasets.known_dataset('atari_replay', 'Pong_run_1')


@pytest.fixture(name='work')
def fixture_work(tmp_path):
  work = work_directory.WorkDirectory(str(tmp_path / 'work'))
  with work.locked():
    work.begin({}, {})
  return work


@pytest.fixture(name='file_format', params=record_files.FILE_FORMATS)
def fixture_file_format(request):
  return request.param


@pytest.fixture(name='converted')
def fixture_converted(tmp_path, work, file_format):
  """A log of four episodes, converted; the index and the units."""
  log_dir = str(tmp_path / 'log')
  rng = np.random.default_rng(0)
  replay_logs.write_log(
      log_dir, [replay_logs.random_episode(rng, n) for n in (5, 7, 4, 6)], 50
  )
  log = formats.LogConfig(log_dir, formats.DOPAMINE, '0')
  index = formats.open_reader(log).index()
  layout = conversion_plan.ShardLayout('d', file_format, False)
  units = conversion_plan.plan_units(index.spans, 2, layout, 'job')
  job = transforms.ConversionJob(
      log, work.root, DATASET, file_format, png.ZLIB,
      validation.Limits(6, 4, True),
  )
  for unit in units:
    transforms.convert_unit(job, unit)
  return index, units


def _change_manifest(work, unit, **changes):
  manifest = work_directory.read_json(work.manifest(unit))
  work_directory.write_json(work.manifest(unit), {**manifest, **changes})


def test_whole_conversion_passes(work, converted, file_format):
  index, units = converted
  manifests = finalize.collect_manifests(work, units, index, file_format)
  assert [manifest['unit'] for manifest in manifests] == [0, 1]
  assert not finalize.find_duplicates(units, manifests)


def test_missing_unit_is_found(work, converted, file_format):
  index, units = converted
  _change_manifest(work, 1, fingerprint='of another job')
  with pytest.raises(
      finalize.ReconciliationError, match='unit 1 .* was not written'
  ):
    finalize.collect_manifests(work, units, index, file_format)


@pytest.mark.parametrize('name', ['episodes', 'steps', 'transitions'])
def test_wrong_count_is_found(work, converted, file_format, name):
  index, units = converted
  _change_manifest(work, 0, **{name: 1000})
  with pytest.raises(
      finalize.ReconciliationError, match=f'{name} is .*, its manifest says 10'
  ):
    finalize.collect_manifests(work, units, index, file_format)


def test_changed_shard_is_found(work, converted, file_format):
  index, units = converted
  path = work.shard(units[0].shard)
  with open(path, 'r+b') as file:
    file.seek(500)
    file.write(b'\xff\xff')
  with pytest.raises(
      finalize.ReconciliationError, match='checksum of a rec|is damaged'
  ):
    finalize.collect_manifests(work, units, index, file_format)


def test_lost_episode_is_found(work, converted, file_format):
  """As if a worker had skipped an episode without a word."""
  index, units = converted
  path = work.shard(units[0].shard)
  first, *_ = record_files.read(path, file_format)
  with record_files.open_writer(path, file_format) as writer:
    writer.write(first)
  data = pathlib.Path(path).read_bytes()
  _change_manifest(
      work, 0, episodes=1, transitions=5, steps=6, record_bytes=len(first),
      file_bytes=len(data), sha256=hashlib.sha256(data).hexdigest(),
  )
  with pytest.raises(
      finalize.ReconciliationError, match='hold 3 episodes .* the log has 4'
  ):
    finalize.collect_manifests(work, units, index, file_format)


def test_equal_episodes_are_found_across_shards(tmp_path, work, monkeypatch):
  """The later ones are duplicates, whatever shard they are in."""
  monkeypatch.setattr(validation, 'DUPLICATE_STEPS', 5)
  log_dir = str(tmp_path / 'log')
  rng = np.random.default_rng(0)
  a, b, c = (replay_logs.random_episode(rng, n) for n in (5, 7, 5))
  replay_logs.write_log(log_dir, [a, b, a, c, b], 50)
  log = formats.LogConfig(log_dir, formats.DOPAMINE, '0')
  index = formats.open_reader(log).index()
  job = transforms.ConversionJob(
      log, work.root, DATASET, record_files.TFRECORD, png.ZLIB,
      validation.Limits(6, 4, True),
  )
  layout = conversion_plan.ShardLayout('d', record_files.TFRECORD, False)

  def convert(duplicates):
    units = conversion_plan.plan_units(
        index.spans, 3, layout, 'job', duplicates
    )
    manifests = [transforms.convert_unit(job, unit) for unit in units]
    return units, manifests

  units, manifests = convert({})
  assert [len(unit.spans) for unit in units] == [2, 2, 1]
  with monkeypatch.context() as patch:
    patch.setattr(validation, 'DUPLICATE_STEPS', 6)
    assert list(finalize.find_duplicates(units, manifests)) == ['2']
  found = finalize.find_duplicates(units, manifests)
  first, second = map(str, index.spans[:2])
  assert found == {'1': {'0': first}, '2': {'0': second}}
  lines = finalize.rejected(units, manifests, found)
  assert [line['episode'] for line in lines] == [2, 4]

  before = os.stat(work.shard(units[0].shard)).st_mtime_ns
  units, manifests = convert(found)
  assert os.stat(work.shard(units[0].shard)).st_mtime_ns == before
  assert [m['episodes'] for m in manifests] == [2, 1, 0]
  assert not finalize.find_duplicates(units, manifests)
  assert finalize.rejected(units, manifests, {}) == lines
  assert lines[0]['reasons'] == {'is_no_duplicate': f'it equals {first}'}
  finalize.collect_manifests(work, units, index, record_files.TFRECORD)


def _lines(count):
  return [
      {'checkpoint': 0, 'episode': i, 'reasons': {'a_rule': f'reason {i}'}}
      for i in range(count)
  ]


def test_too_many_rejected_episodes(work):
  with pytest.raises(
      finalize.TooManyRejectedError,
      match=r'2 of 10 episodes break a rule \(20.00%; '
      r'--max_rejected_fraction=0.1\). The first, episode 0 of checkpoint 0: '
      r'reason 0\. All are listed in .*rejects.jsonl',
  ):
    finalize.check_rejected(work, _lines(2), 10, 0.1)
  with open(work.shard('rejects.jsonl'), encoding='utf-8') as file:
    assert [json.loads(line)['episode'] for line in file] == [0, 1]


def test_some_rejected_episodes_are_accepted(work):
  finalize.check_rejected(work, _lines(2), 10, 0.2)
  assert os.path.exists(work.shard('rejects.jsonl'))
  finalize.check_rejected(work, [], 10, 0.0)
  assert not os.path.exists(work.shard('rejects.jsonl'))


def test_dataset_without_episodes_is_refused(work):
  with pytest.raises(finalize.TooManyRejectedError, match='2 of 2 episodes'):
    finalize.check_rejected(work, _lines(2), 2, 1.0)


def test_odd_episodes_are_listed_and_counted(work):
  spans = tuple(
      reader.EpisodeSpan(0, i, 100 * i, 9, 3, types.EpisodeEnd.TERMINAL, True)
      for i in range(4)
  )
  units = [
      transforms.WorkUnit(i, 'train', '', spans[2 * i : 2 * i + 2], (), '')
      for i in range(2)
  ]
  manifests = [
      {
          'content_sha256': ['a', 'b'],
          'cautions': [transforms.finding(spans[1], {'a_rule': 'odd'})],
      },
      {
          'content_sha256': ['a', None],
          'cautions': [transforms.finding(spans[2], {'a_rule': 'odd, too'})],
      },
  ]
  lines = finalize.cautions(units, manifests)
  finalize.write_cautions(work, lines)
  with open(work.shard('cautions.jsonl'), encoding='utf-8') as file:
    assert [json.loads(line) for line in file] == lines
  assert [(line['episode'], line['reasons']) for line in lines] == [
      (1, {'a_rule': 'odd'}),
      (2, {'a_rule': 'odd, too', 'is_no_duplicate': f'it equals {spans[0]}'}),
  ]
  assert finalize.count_cautions(lines) == {'a_rule': 2, 'is_no_duplicate': 1}
