"""Tests of the model handler: what it asks the teacher, and what it refuses."""

import dataclasses

from apache_beam.testing import test_pipeline
from apache_beam.testing import util
import apache_beam as beam
import numpy as np
import pytest

from rrl_pipeline.beam_jobs import derived_units
from rrl_pipeline.beam_jobs import teacher_inference
from rrl_pipeline.beam_jobs import work_directory
from rrl_pipeline.rlds import encoding
from rrl_pipeline.rlds import observations
from rrl_pipeline.rlds import record_files
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import tf_example
from rrl_pipeline.teachers import bundle
from rrl_pipeline.testing import datasets

_SHAPE = schema.ATARI_FRAME_SHAPE
_OBSERVATION = observations.ObservationFormat(_SHAPE, schema.RAW)
_LENGTHS = (5, 64, 150)


class _Teacher:
  """Its values: sum and newest value of the corner of the stack."""

  def __init__(self):
    self.sizes = []

  def values(self, observation):
    self.sizes.append(len(observation))
    corner = observation[:, 0, 0].astype(np.float32)
    return np.stack([corner.sum(axis=1), corner[:, -1]], axis=1)


def _record(number, length, complete_start):
  frames = np.zeros((length, *_SHAPE), np.uint8)
  frames[:, 0, 0] = 1 + np.arange(length) % 250
  encoder = encoding.make_encoder(_OBSERVATION, None)
  return tf_example.serialize({
      'episode_id': number,
      'complete_start': complete_start,
      'steps': {
          'observation': encoder.encode_block(frames),
          'action': np.zeros(length, np.int64),
      },
  })


@pytest.fixture(name='job')
def fixture_job(tmp_path):
  """Three episodes; the second has no true start."""
  path = str(tmp_path / 'source')
  with record_files.open_writer(path, record_files.TFRECORD) as writer:
    for number, length in enumerate(_LENGTHS):
      writer.write(_record(number, length, complete_start=number != 1))
  work = work_directory.WorkDirectory(str(tmp_path / 'work'))
  work.begin({}, {})
  teacher = datasets.export_teacher(
      tmp_path / 'teacher', action_meanings=('NOOP', 'FIRE')
  )
  return teacher_inference.AnnotationJob(
      units=derived_units.DerivedJob(
          str(tmp_path), record_files.TFRECORD, record_files.TFRECORD, work.root
      ),
      teacher_dir=str(teacher),
      teacher_sha256=bundle.read(teacher).sha256,
      num_actions=2,
      stack_size=4,
      observation=_OBSERVATION,
  )


_UNIT = derived_units.DerivedUnit(
    0, 'train', 'shard', (derived_units.Part('source', (0, 1, 2)),),
    num_steps=sum(_LENGTHS), num_bytes=1000, fingerprint='a',
)


def test_the_teacher_is_asked_at_every_stack_in_batches_of_one_size(job):
  teacher = _Teacher()
  (prediction,) = teacher_inference.TeacherHandler(job).run_inference(
      [_UNIT], teacher
  )
  assert prediction.example == _UNIT
  expected = []
  for number, length in enumerate(_LENGTHS):
    corner = np.append(np.zeros(3), 1 + np.arange(length) % 250)
    values = np.array(
        [[corner[t : t + 4].sum(), corner[t + 3]] for t in range(length)]
    )
    if number == 1:
      values[:3] = 0
    expected.append(values)
  assert prediction.inference.dtype == np.float32
  np.testing.assert_array_equal(
      prediction.inference, np.concatenate(expected)
  )
  assert teacher.sizes == [64] * (1 + 1 + 3)
  assert job.units.work.steps_done(1) == sum(_LENGTHS)


def test_values_that_are_not_finite_are_refused(job):
  class Broken(_Teacher):

    def values(self, observation):
      return super().values(observation) * np.nan

  (prediction,) = teacher_inference.TeacherHandler(job).run_inference(
      [_UNIT], Broken()
  )
  assert 'gives values that are not finite' in str(prediction.inference)
  assert not list(teacher_inference.WriteAnnotated(job).process(prediction))
  (error,) = job.units.work.errors(1)
  assert error.startswith('shard: the teacher')


def test_a_bundle_that_was_replaced_is_refused(job):
  other = dataclasses.replace(job, teacher_sha256='0' * 64)
  with pytest.raises(ValueError, match='is another teacher than when the job'):
    teacher_inference.TeacherHandler(other).load_model()


def test_a_pipeline_writes_the_shard_and_leaves_a_finished_one(
    job, monkeypatch
):
  def run():
    with test_pipeline.TestPipeline() as pipeline:
      result = (
          pipeline
          | beam.Create([_UNIT])
          | teacher_inference.AnnotateUnits(job)
      )
      util.assert_that(result, util.equal_to([(0, 3)]))

  run()
  path = job.units.work.shard('shard')
  records = list(record_files.read(path, record_files.TFRECORD))
  assert [teacher_inference.num_steps(r) for r in records] == list(_LENGTHS)
  for source, record in zip(
      derived_units.read_unit(job.units, _UNIT), records, strict=True
  ):
    assert teacher_inference.difference(source, record, 2) is None

  for source, problem in (
      (_record(9, 5, complete_start=True), 'episode_id changed'),
      (_record(0, 64, complete_start=True), 'it has 10 values for 64 steps of'),
  ):
    found = teacher_inference.difference(source, records[0], 2)
    assert found.startswith(problem)

  ask = bundle.BundleTeacher.values

  def fail(teacher, observation):
    # When it is loaded, it is asked about two.
    assert len(observation) == 2, 'the teacher was asked again'
    return ask(teacher, observation)

  monkeypatch.setattr(bundle.BundleTeacher, 'values', fail)
  run()
