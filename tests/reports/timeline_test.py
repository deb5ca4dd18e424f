"""Tests of where logged quantities lie."""

import numpy as np
import pytest

from rrl_pipeline.reports import runs
from rrl_pipeline.reports import timeline
from rrl_pipeline.testing import synthetic_run


@pytest.fixture(name='root')
def fixture_root(tmp_path):
  return synthetic_run.write(tmp_path / 'run')


def _write(root, text):
  (root / 'online' / 'student' / 'metrics.csv').write_text(text)
  return runs.read_run(root)


def test_positions_are_learner_steps_offline_and_frames_online(root):
  run = runs.read_run(root)
  x, y = timeline.points(run, 'offline', 'td_loss')
  np.testing.assert_array_equal(x, np.arange(10, 101, 10))
  np.testing.assert_allclose(y, 1 / x)
  x, _ = timeline.points(run, 'student', 'td_loss')
  np.testing.assert_array_equal(x, 800 * np.arange(1, 16))


def test_frames_follow_from_actor_steps(root):
  run = _write(root, 'step,actor_steps,td_loss\n1,10,0.5\n2,,0.4\n3,30,\n')
  x, y = timeline.points(run, 'student', 'td_loss')
  np.testing.assert_array_equal(x, [40])
  np.testing.assert_array_equal(y, [0.5])


def test_comparisons_with_a_teacher_that_was_not_run_are_left_out(root):
  run = runs.read_run(root)
  for column in ('distillation_loss', 'teacher_agreement'):
    x, _ = timeline.points(run, 'student', column)
    assert x[-1] == 7200
    assert not len(timeline.points(run, 'tabula_rasa', column)[0])


def test_weaning_is_where_the_weight_is_first_zero(root):
  run = runs.read_run(root)
  assert timeline.weaning_frames(run) == 8000
  assert timeline.last_distillation_weight(run) == 0


def test_the_weight_of_the_margin_counts_too(root):
  run = _write(
      root,
      'step,frames,distillation_weight,margin_weight\n'
      '1,40,0.0,1.0\n2,80,0.0,0.5\n3,120,0.0,0.0\n',
  )
  assert timeline.weaning_frames(run) == 120


def test_a_log_may_say_where_the_teacher_left(root):
  run = _write(
      root,
      'step,frames,distillation_weight,margin_weight,teacher_agreement,weaned_at'
      '\n1,40,0.0,1.0,0.5,\n2,80,0.0,0.0,,18\n3,120,0.0,0.0,,18\n',
  )
  assert timeline.weaning_frames(run) == 18 * run.frame_skip == 72
  # The teacher was asked for the margin.
  x, y = timeline.points(run, 'student', 'teacher_agreement')
  assert (x.tolist(), y.tolist()) == ([40], [0.5])


def test_a_student_that_never_had_a_teacher_is_not_weaned(root):
  run = _write(root, 'step,frames,distillation_weight\n1,40,0\n2,80,0\n')
  assert timeline.weaning_frames(run) is None


def test_a_student_may_be_guided_to_the_end(root):
  run = _write(
      root, 'step,frames,distillation_weight\n1,40,3.0\n2,80,0.25\n'
  )
  assert timeline.weaning_frames(run) is None
  assert timeline.last_distillation_weight(run) == 0.25


def test_a_log_without_weights_says_nothing_about_weaning(root):
  run = _write(root, 'step,frames,td_loss\n1,40,3.0\n')
  assert timeline.weaning_frames(run) is None
  assert timeline.last_distillation_weight(run) is None
