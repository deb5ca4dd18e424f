"""Tests that a conversion is proven before it becomes a dataset."""

import json

import numpy as np
import pytest

from rrl_pipeline.beam_jobs import conversion_plan
from rrl_pipeline.beam_jobs import finalize
from rrl_pipeline.beam_jobs import transforms
from rrl_pipeline.beam_jobs import work_directory
from rrl_pipeline.logs import dopamine
from rrl_pipeline.rlds import png
from rrl_pipeline.rlds import tfrecord
from rrl_pipeline.rlds import validation
from rrl_pipeline.testing import replay_logs


@pytest.fixture(name='work')
def fixture_work(tmp_path):
  work = work_directory.WorkDirectory(str(tmp_path / 'work'))
  with work.locked():
    work.begin({}, {})
  return work


@pytest.fixture(name='converted')
def fixture_converted(tmp_path, work):
  """A log of four episodes, converted; the index and the units."""
  log_dir = str(tmp_path / 'log')
  rng = np.random.default_rng(0)
  replay_logs.write_log(
      log_dir, [replay_logs.random_episode(rng, n) for n in (5, 7, 4, 6)], 50
  )
  log = dopamine.DopamineLogConfig(log_dir, '0')
  index = dopamine.DopamineReader(log).index()
  units = conversion_plan.plan_units(index.spans, 2, 'd', 'train', 'job')
  job = transforms.ConversionJob(
      log, work.root, 'd', 'c', png.ZLIB, validation.Limits(6, 4, True)
  )
  for unit in units:
    transforms.convert_unit(job, unit)
  return index, units


def _change_manifest(work, unit, **changes):
  manifest = work_directory.read_json(work.manifest(unit))
  work_directory.write_json(work.manifest(unit), {**manifest, **changes})


def test_whole_conversion_passes(work, converted):
  index, units = converted
  manifests = finalize.collect_manifests(work, units, index)
  assert [manifest['unit'] for manifest in manifests] == [0, 1]
  assert finalize.write_rejects(work, manifests, 0.0) == 0


def test_missing_unit_is_found(work, converted):
  index, units = converted
  _change_manifest(work, 1, fingerprint='of another job')
  with pytest.raises(
      finalize.ReconciliationError, match='unit 1 .* was not written'
  ):
    finalize.collect_manifests(work, units, index)


@pytest.mark.parametrize('name', ['episodes', 'steps', 'transitions'])
def test_wrong_count_is_found(work, converted, name):
  index, units = converted
  _change_manifest(work, 0, **{name: 1000})
  with pytest.raises(
      finalize.ReconciliationError, match=f'{name} is .*, its manifest says 10'
  ):
    finalize.collect_manifests(work, units, index)


def test_changed_shard_is_found(work, converted):
  index, units = converted
  path = work.shard(units[0].shard)
  with open(path, 'r+b') as file:
    file.seek(500)
    file.write(b'\xff\xff')
  with pytest.raises(finalize.ReconciliationError, match='checksum of a rec'):
    finalize.collect_manifests(work, units, index)


def test_lost_episode_is_found(work, converted):
  """As if a worker had skipped an episode without a word."""
  index, units = converted
  path = work.shard(units[0].shard)
  first, *_ = tfrecord.read(path)
  with open(path, 'wb') as raw:
    file = transforms._HashingFile(raw)  # pylint: disable=protected-access
    tfrecord.write(file, first)
  _change_manifest(
      work, 0, episodes=1, transitions=5, steps=6, record_bytes=len(first),
      file_bytes=file.length, sha256=file.hexdigest(),
  )
  with pytest.raises(
      finalize.ReconciliationError, match='hold 3 episodes .* the log has 4'
  ):
    finalize.collect_manifests(work, units, index)


def _manifests(written, rejected):
  return [{
      'episodes': written,
      'rejected': [
          {
              'checkpoint': 0,
              'episode': i,
              'reasons': {'rewards_are_finite': f'reason {i}'},
          }
          for i in range(rejected)
      ],
  }]


def test_too_many_rejected_episodes(work):
  with pytest.raises(
      finalize.TooManyRejectedError,
      match=r'2 of 10 episodes break a rule \(20.00%; '
      r'--max_rejected_fraction=0.1\). The first, episode 0 of checkpoint 0: '
      r'reason 0\. All are listed in .*rejects.jsonl',
  ):
    finalize.write_rejects(work, _manifests(8, 2), 0.1)
  with open(work.shard('rejects.jsonl'), encoding='utf-8') as file:
    assert [json.loads(line)['episode'] for line in file] == [0, 1]


def test_some_rejected_episodes_are_accepted(work):
  assert finalize.write_rejects(work, _manifests(8, 2), 0.2) == 2


def test_dataset_without_episodes_is_refused(work):
  with pytest.raises(finalize.TooManyRejectedError, match='2 of 2 episodes'):
    finalize.write_rejects(work, _manifests(0, 2), 1.0)
