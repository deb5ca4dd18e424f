"""Tests of which errors are the user's, and which are bugs."""

import errno

import numpy as np
import pytest

from rrl_pipeline import overrides
from rrl_pipeline import run_directory
from rrl_pipeline.launch import user_errors


def _raised(function, *arguments):
  with pytest.raises(Exception) as caught:
    function(*arguments)
  return caught.value


def test_value_error_that_the_project_raises_is_the_users():
  error = _raised(overrides.apply, None, ['nonsense'])
  assert user_errors.message(error) == (
      "expected a setting as group.name=value, got 'nonsense'"
  )


def test_value_error_that_the_project_passes_on_is_the_users(tmp_path):
  (tmp_path / 'x.json').write_text('{')
  error = _raised(run_directory.read_json, tmp_path / 'x.json')
  assert 'x.json is damaged' in user_errors.message(error)


def test_missing_file_inside_the_project_is_a_bug(tmp_path):
  error = _raised(run_directory.read_json, tmp_path / 'x.json')
  assert isinstance(error, FileNotFoundError)
  assert user_errors.message(error) is None


def test_value_error_from_a_library_is_a_bug():
  error = _raised(np.reshape, np.zeros(3), (2, 2))
  assert isinstance(error, ValueError)
  assert user_errors.message(error) is None


def test_value_error_from_an_expression_is_a_bug():
  source = 'def f(x):\n  return int(x)\n'
  module = {'__name__': 'rrl_pipeline.made_up'}
  exec(compile(source, 'made_up.py', 'exec'), module)
  assert user_errors.message(_raised(module['f'], 'x')) is None


def test_raise_statement_of_the_project_counts():
  source = 'def f(x):\n  raise FileNotFoundError(f"no {x}; do y")\n'
  module = {'__name__': 'rrl_pipeline.made_up'}
  exec(compile(source, 'made_up.py', 'exec'), module)
  assert user_errors.message(_raised(module['f'], 'x')) == 'no x; do y'


def test_named_errors_of_the_project_are_the_users():
  error = run_directory.LockedError('another process')
  assert user_errors.message(error) == 'another process'


@pytest.mark.parametrize('kind', [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_errors_of_the_machine_are_the_users(kind):
  error = OSError(kind, 'Oh', 'some/file')
  assert user_errors.message(error).startswith('Oh: some/file; mend that')


def test_other_errors_are_bugs():
  assert user_errors.message(TypeError('x')) is None
