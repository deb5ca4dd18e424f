"""Tests of the metric log: nothing lost, nothing twice, in CSV and events."""

import io
import math
import os
import subprocess
import sys

import pytest
import tensorflow as tf

from rrl_pipeline.networks import eager_tensors
from rrl_pipeline.testing import blocks_left
from rrl_pipeline.training import metric_log


def _events(directory):
  """Returns {(tag, step): [values]} of every event file below `directory`."""
  found = {}
  for path in sorted((directory / 'tensorboard').glob('*tfevents*')):
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
      event = tf.compat.v1.Event.FromString(record)
      for value in event.summary.value:
        scalar = float(tf.make_ndarray(value.tensor))
        found.setdefault((value.tag, event.step), []).append(scalar)
  return found


def test_rows_read_back_exactly(tmp_path):
  with metric_log.MetricLog(tmp_path) as log:
    log.write(0, {'loss': 0.1, 'td/error': 1 / 3})
    log.write(7, {'loss': math.inf})
    log.write(7, {'td/error': -1e-300})
  assert metric_log.read_rows(tmp_path / 'metrics.csv') == [
      {'step': 0, 'loss': 0.1, 'td/error': 1 / 3},
      {'step': 7, 'loss': math.inf},
      {'step': 7, 'td/error': -1e-300},
  ]
  assert (tmp_path / 'metrics.csv').read_text().splitlines()[0] == (
      'step,loss,td/error'
  )


def test_new_columns_keep_every_row(tmp_path):
  with metric_log.MetricLog(tmp_path) as log:
    log.write(1, {'a': 1.0})
    log.write(2, {'b': 2.0})
    log.write(3, {'c': 3.0, 'a': 4.0})
  text = (tmp_path / 'metrics.csv').read_text()
  assert text == 'step,a,b,c\n1,1.0,,\n2,,2.0,\n3,4.0,,3.0\n'


def test_values_reach_tensorboard_at_their_steps(tmp_path):
  with metric_log.MetricLog(tmp_path) as log:
    log.write(5, {'loss': 0.5})
    log.write(6, {'loss': 0.25, 'return': -21.0})
  assert _events(tmp_path) == {
      ('loss', 5): [0.5],
      ('loss', 6): [0.25],
      ('return', 6): [-21.0],
  }


def test_torn_last_line_is_dropped_when_opened_again(tmp_path):
  with metric_log.MetricLog(tmp_path) as log:
    log.write(1, {'loss': 1.0})
  with open(tmp_path / 'metrics.csv', 'a') as file:
    file.write('2,0.12')
  assert metric_log.read_rows(tmp_path / 'metrics.csv') == [
      {'step': 1, 'loss': 1.0}
  ]
  with metric_log.MetricLog(tmp_path) as log:
    log.write(2, {'loss': 0.125})
  text = (tmp_path / 'metrics.csv').read_text()
  assert text == 'step,loss\n1,1.0\n2,0.125\n'


def test_torn_header_is_an_empty_log(tmp_path):
  (tmp_path / 'metrics.csv').write_text('step,lo')
  with metric_log.MetricLog(tmp_path) as log:
    log.write(1, {'loss': 1.0})
  assert (tmp_path / 'metrics.csv').read_text() == 'step,loss\n1,1.0\n'


def test_resume_leaves_no_duplicate_in_csv_or_tensorboard(tmp_path):
  with metric_log.MetricLog(tmp_path) as log:
    for step in (10, 20, 30, 40):
      log.write(step, {'loss': float(step)})
  with metric_log.MetricLog(tmp_path) as log:
    log.truncate_after(20)
    log.write(30, {'loss': 300.0})
  assert metric_log.read_rows(tmp_path / 'metrics.csv') == [
      {'step': 10, 'loss': 10.0},
      {'step': 20, 'loss': 20.0},
      {'step': 30, 'loss': 300.0},
  ]
  assert _events(tmp_path) == {
      ('loss', 10): [10.0],
      ('loss', 20): [20.0],
      ('loss', 30): [300.0],
  }


def test_truncate_works_between_writes_and_on_an_empty_log(tmp_path):
  with metric_log.MetricLog(tmp_path) as log:
    log.truncate_after(5)
    log.write(1, {'a': 1.0})
    log.write(2, {'a': 2.0})
    log.truncate_after(1)
    log.write(2, {'a': 3.0})
  assert _events(tmp_path) == {('a', 1): [1.0], ('a', 2): [3.0]}


def test_killed_process_loses_no_written_row(tmp_path):
  program = (
      'import os, signal, sys\n'
      'from rrl_pipeline.training import metric_log\n'
      'log = metric_log.MetricLog(sys.argv[1])\n'
      'log.write(1, {"a": 1.0})\n'
      'log.write(2, {"a": 2.0, "b": 0.5})\n'
      'os.kill(os.getpid(), signal.SIGKILL)\n'
  )
  subprocess.run([sys.executable, '-c', program, str(tmp_path)], check=False)
  assert metric_log.read_rows(tmp_path / 'metrics.csv') == [
      {'step': 1, 'a': 1.0},
      {'step': 2, 'a': 2.0, 'b': 0.5},
  ]
  # TensorFlow had not flushed its events; the next attempt restores them.
  with metric_log.MetricLog(tmp_path) as log:
    log.write(3, {'a': 3.0})
  assert _events(tmp_path) == {
      ('a', 1): [1.0],
      ('a', 2): [2.0],
      ('b', 2): [0.5],
      ('a', 3): [3.0],
  }


def test_widening_is_atomic(tmp_path, monkeypatch):
  log = metric_log.MetricLog(tmp_path)
  log.write(1, {'a': 1.0})

  def fail(*unused_arguments):
    raise OSError('disk full')

  monkeypatch.setattr(os, 'replace', fail)
  with pytest.raises(OSError, match='disk full'):
    log.write(2, {'b': 2.0})
  assert (tmp_path / 'metrics.csv').read_text() == 'step,a\n1,1.0\n'
  assert [path.name for path in tmp_path.glob('.*')] == []


def test_step_that_goes_back_is_refused(tmp_path):
  with metric_log.MetricLog(tmp_path) as log:
    log.write(10, {'a': 1.0})
    with pytest.raises(
        ValueError, match=r'already holds step 10, got step 9; .*truncate_after'
    ):
      log.write(9, {'a': 1.0})


@pytest.mark.parametrize('name', ['', 'step', 'a,b', 'a"b', 'a\nb'])
def test_name_that_cannot_head_a_column_is_refused(tmp_path, name):
  with metric_log.MetricLog(tmp_path) as log:
    with pytest.raises(ValueError, match='bad metric name'):
      log.write(1, {name: 1.0})


def test_foreign_file_is_refused(tmp_path):
  (tmp_path / 'metrics.csv').write_text('time,loss\n1,2\n')
  with pytest.raises(ValueError, match="no metrics file.*'step', got 'time'"):
    metric_log.MetricLog(tmp_path)


@pytest.mark.parametrize('line', ['1,2,3', 'x,1.0', '1', '1,abc'])
def test_damaged_line_is_named(tmp_path, line):
  (tmp_path / 'metrics.csv').write_text(f'step,loss\n1,2.0\n{line}\n')
  with pytest.raises(ValueError, match=r'metrics.csv, line 3 is damaged'):
    metric_log.MetricLog(tmp_path)


def test_events_that_cannot_be_written_are_an_error_of_the_disk(
    tmp_path, monkeypatch
):
  def full(*unused_arguments):
    raise tf.errors.ResourceExhaustedError(None, None, 'No space left')

  with metric_log.MetricLog(tmp_path) as log:
    monkeypatch.setattr(tf.summary, 'scalar', full)
    with pytest.raises(OSError, match='for TensorBoard .* No space left'):
      log.write(1, {'a': 1.0})


def test_rows_leave_no_memory_behind(tmp_path):
  eager_tensors.stop_leak()
  with metric_log.MetricLog(tmp_path) as log:
    left = blocks_left.per_call(
        lambda i: log.write(i + 300, {'a': i / 7, 'b': i / 9}), 300
    )
  # TensorFlow would keep three numbers of each row.
  assert left < 0.5


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path, monkeypatch):
  class Full(io.StringIO):

    def flush(self):
      raise OSError(28, 'No space left on device')

  with metric_log.MetricLog(tmp_path) as log:
    log.write(1, {'a': 1.0})
    with monkeypatch.context() as patch:
      patch.setattr(log, '_file', Full())
      with pytest.raises(OSError, match='No space left') as raised:
        log.write(2, {'a': 1.0})
  assert raised.value.filename == str(tmp_path / 'metrics.csv')
