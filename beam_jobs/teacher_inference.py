"""A teacher bundle behind Beam's RunInference.

An example, to RunInference, is a unit of work: the name of a shard to write and
where its episodes are. Its inference is the teacher's values of every step of
those episodes. The handler itself reads the frames, stacks them and forms the
batches for the model. The obvious other way is to feed stacked observations to
RunInference one by one and let Beam batch them. It would cost a graph that only
some runners execute well:

* A stacked observation is 28 KB, four times its frame. An element that may
  cross a shuffle should be small, and values would have to be sent back to
  their episodes by a GroupByKey that holds a whole dataset's records.
* Beam's own batching emits batches when a bundle ends, and drops on Dask what
  is emitted then. Its batches also depend on how a runner forms bundles, and
  the last bits of a convolution depend on the batch; here they depend on the
  episode alone, so a shard has the same bytes whatever the runner.

So the graph stays a line, RunInference loads the model once per worker process
and counts its calls, and memory is bounded: one record, one batch of stacks and
the values of one unit (24 bytes for each step of Pong).
"""

import dataclasses
from typing import Any, Iterator, Mapping, Optional, Sequence

import apache_beam as beam
from apache_beam.ml.inference import base
import numpy as np

from rrl_pipeline.beam_jobs import derived_units
from rrl_pipeline.replay import stacks
from rrl_pipeline.rlds import observations
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import stacking
from rrl_pipeline.rlds import teacher_values
from rrl_pipeline.rlds import tf_example

# All batches have this size, the last one of an episode with zeros for states:
# TensorFlow divides small batches among its threads in ways that give other
# last bits with another number of threads. Larger ones are no faster.
BATCH_SIZE = 64


@dataclasses.dataclass(frozen=True)
class AnnotationJob:
  """What all units of an annotation share.

  Attributes:
    units: source and target.
    teacher_dir: folder of the bundle.
    teacher_sha256: of its model; a bundle that was replaced meanwhile is
      refused.
    num_actions: A.
    stack_size: frames of a stacked observation; 1 where nothing is stacked.
    observation: what the steps of the source hold, and how.
  """

  units: derived_units.DerivedJob
  teacher_dir: str
  teacher_sha256: str
  num_actions: int
  stack_size: int
  observation: observations.ObservationFormat


class TeacherHandler(
    base.ModelHandler[
        derived_units.DerivedUnit, base.PredictionResult, Any
    ]
):
  """Asks a teacher for its values of all steps of a unit.

  An inference is float32 [steps of the unit, A]; or the ValueError that says
  what is wrong with the unit's records, or None if its shard is written already
  (an engine may run a unit twice).
  """

  def __init__(self, job: AnnotationJob):
    super().__init__()
    self._job = job

  def load_model(self) -> Any:
    """The teacher; a `teachers.teacher.Teacher`."""
    # Whoever makes the graph need not have loaded TensorFlow.
    from rrl_pipeline.teachers import bundle  # pylint: disable=g-import-not-at-top

    teacher = bundle.read(self._job.teacher_dir)
    if teacher.sha256 != self._job.teacher_sha256:
      raise ValueError(
          f'{self._job.teacher_dir} is another teacher than when the job began'
      )
    return teacher.load()

  def should_skip_batching(self) -> bool:
    """Elements are batches: lists of one unit."""
    return True

  def get_num_bytes(
      self, batch: Sequence[derived_units.DerivedUnit]
  ) -> int:
    """Size of the records that a batch stands for."""
    return sum(unit.num_bytes for unit in batch)

  def get_metrics_namespace(self) -> str:
    return 'annotate_teacher'

  def run_inference(
      self,
      batch: Sequence[derived_units.DerivedUnit],
      model: Any,
      inference_args: Optional[Mapping[str, Any]] = None,
  ) -> Iterator[base.PredictionResult]:
    """Yields what the class says for each unit of a batch."""
    del inference_args  # There are none.
    for unit in batch:
      yield base.PredictionResult(unit, self._infer(unit, model))

  def _infer(
      self, unit: derived_units.DerivedUnit, model: Any
  ) -> np.ndarray | ValueError | None:
    job = self._job
    if job.units.work.finished(unit.index, unit.fingerprint) is not None:
      return None
    heartbeat = derived_units.Heartbeat(job.units, unit)
    values = []
    try:
      for record in derived_units.read_unit(job.units, unit):
        values.append(_values_of_record(record, model, job, heartbeat))
    except ValueError as error:
      return error
    heartbeat.report()
    return np.concatenate(values)


def _values_of_record(
    record: bytes,
    model: Any,
    job: AnnotationJob,
    heartbeat: derived_units.Heartbeat,
) -> np.ndarray:
  """The teacher's values [N, A] of the N steps of an episode."""
  feature = tf_example.parse(record).features.feature
  stored = feature[f'{schema.STEPS}/{schema.OBSERVATION}'].bytes_list.value
  blocks = (
      job.observation.decode(stored[start : start + BATCH_SIZE])
      for start in range(0, len(stored), BATCH_SIZE)
  )
  if stacks.is_image(job.observation.shape):
    blocks = stacking.stacks(blocks, job.stack_size)
  values = np.empty((len(stored), job.num_actions), np.float32)
  start = 0
  batch = None
  for block in blocks:
    if batch is None:
      batch = np.zeros((BATCH_SIZE, *block.shape[1:]), block.dtype)
    count = len(block)
    batch[:count], batch[count:] = block, 0
    values[start : start + count] = np.asarray(model.values(batch))[:count]
    heartbeat.advance(count)
    start += count
  if not is_whole(feature):
    # The frames before are missing, not zero: no learner forms these stacks.
    values[: job.stack_size - 1] = 0
  if not np.isfinite(values).all():
    raise ValueError(
        f'the teacher {job.teacher_dir} gives values that are not finite'
    )
  return values


def is_whole(feature: Mapping[str, Any]) -> bool:
  """Whether a record begins at the true start of its episode."""
  # Datasets by others do not say that a start is missing: they are whole.
  if schema.COMPLETE_START not in feature:
    return True
  return bool(feature[schema.COMPLETE_START].int64_list.value[0])


def annotate(record: bytes, values: np.ndarray) -> bytes:
  """A record with the teacher's values [N, A] of its N steps."""
  example = tf_example.parse(record)
  field = f'{schema.STEPS}/{teacher_values.STEP_FIELD}'
  column = example.features.feature[field].float_list.value
  del column[:]  # Those of another teacher.
  column.extend(values.ravel().tolist())
  return example.SerializeToString(deterministic=True)


class WriteAnnotated(beam.DoFn):
  """Writes the shard of a unit from the source's records and the values."""

  def __init__(self, job: AnnotationJob):
    self._job = job

  def process(
      self, prediction: base.PredictionResult
  ) -> Iterator[tuple[int, int]]:
    """Yields the unit's index and the number of its episodes."""
    job, unit, values = self._job, prediction.example, prediction.inference
    if isinstance(values, ValueError):
      derived_units.report_error(job.units, unit, values)
      return
    if values is None:
      yield unit.index, unit.num_episodes
      return
    records = self._annotated(unit, values)
    manifest = derived_units.write_unit(job.units, unit, records)
    yield unit.index, manifest['episodes']

  def _annotated(
      self, unit: derived_units.DerivedUnit, values: np.ndarray
  ) -> Iterator[bytes]:
    start = 0
    for record in derived_units.read_unit(self._job.units, unit):
      stop = start + num_steps(record)
      yield annotate(record, values[start:stop])
      start = stop


def num_steps(record: bytes) -> int:
  feature = tf_example.parse(record).features.feature
  return len(feature[f'{schema.STEPS}/{schema.ACTION}'].int64_list.value)


def difference(
    source: bytes, derived: bytes, num_actions: int
) -> Optional[str]:
  """What else than teacher values differs in a derived record, or None."""
  before, after = tf_example.parse(source), tf_example.parse(derived)
  field = f'{schema.STEPS}/{teacher_values.STEP_FIELD}'
  values = after.features.feature[field].float_list.value
  if len(values) != num_steps(source) * num_actions:
    return (
        f'it has {len(values)} values for {num_steps(source)} steps of '
        f'{num_actions} actions'
    )
  for example in (before, after):
    if field in example.features.feature:
      del example.features.feature[field]
  if before == after:
    return None
  names = sorted({*before.features.feature, *after.features.feature})
  changed = [
      name
      for name in names
      if before.features.feature[name] != after.features.feature[name]
  ]
  return f'{", ".join(changed)} changed'


class AnnotateUnits(beam.PTransform):
  """Units → their indices and numbers of episodes."""

  def __init__(self, job: AnnotationJob):
    super().__init__()
    self._job = job

  def expand(self, units: beam.PCollection) -> beam.PCollection:
    return (
        units
        | 'BatchOfOne' >> beam.Map(lambda unit: [unit])
        | 'AskTeacher' >> base.RunInference(TeacherHandler(self._job))
        | 'WriteAnnotated' >> beam.ParDo(WriteAnnotated(self._job))
    )
