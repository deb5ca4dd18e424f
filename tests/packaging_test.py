"""Tests of setup.py, requirements.txt and of what an installation holds."""

import ast
import importlib.metadata
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile

from packaging import requirements
from packaging import specifiers
from packaging import utils
import pytest

import rrl_pipeline

ROOT = pathlib.Path(__file__).resolve().parents[1]
LINKED = ('beam_jobs', 'datasets', 'launch')
MISSION = ('ale-py', 'apache-beam', 'dm-acme', 'dm-reverb', 'numpy', 'rlds',
           'rliable', 'tensorflow', 'tensorflow-datasets', 'tf-agents')


def _run(*arguments: object, **options) -> subprocess.CompletedProcess:
  return subprocess.run(
      [sys.executable, *map(str, arguments)], text=True, capture_output=True,
      check=False, **options)


def _build(
    command: str, source: pathlib.Path, to: pathlib.Path) -> pathlib.Path:
  """Runs a command of setup.py and returns the one file that it leaves."""
  result = _run('setup.py', '-q', command, '--dist-dir', to, cwd=source)
  assert result.returncode == 0, result.stderr
  built, = to.iterdir()
  return built


def _pins() -> dict[str, str]:
  lines = (ROOT / 'requirements.txt').read_text().splitlines()
  return dict(line.split('==') for line in lines if not line.startswith('#'))


def _declared() -> list[requirements.Requirement]:
  return [requirements.Requirement(line)
          for line in importlib.metadata.requires('rrl-pipeline')]


def _needed_by(name: str) -> set[str]:
  """What an installed package needs without any extra."""
  declared = map(requirements.Requirement,
                 importlib.metadata.requires(name) or ())
  return {utils.canonicalize_name(r.name) for r in declared
          if r.marker is None or r.marker.evaluate({'extra': ''})}


@pytest.fixture(scope='module', name='copy')
def fixture_copy(tmp_path_factory) -> pathlib.Path:
  """A copy of the project to build in: builds write into their folder."""
  copy = tmp_path_factory.mktemp('packaging') / 'copy'
  shutil.copytree(ROOT, copy, symlinks=True, ignore=shutil.ignore_patterns(
      '.git', '.venv', '.hypothesis', '.pytest_cache', '__pycache__', 'build',
      'dist', 'node_modules', 'runs', '*.egg-info'))
  return copy


@pytest.fixture(scope='module', name='sdist')
def fixture_sdist(copy) -> pathlib.Path:
  """The unpacked source distribution."""
  archive = _build('sdist', copy, copy.parent / 'sdist')
  with tarfile.open(archive) as tar:
    tar.extractall(copy.parent / 'unpacked', filter='data')
  unpacked, = (copy.parent / 'unpacked').iterdir()
  return unpacked


@pytest.fixture(scope='module', name='wheel')
def fixture_wheel(copy) -> pathlib.Path:
  return _build('bdist_wheel', copy, copy.parent / 'wheel')


def _contents(wheel: pathlib.Path) -> dict[str, int]:
  with zipfile.ZipFile(wheel) as archive:
    return {info.filename: info.CRC for info in archive.infolist()
            if '.dist-info/' not in info.filename}


def test_wheel_holds_every_module_below_the_one_package(wheel):
  contents = _contents(wheel)
  assert {name.split('/')[0] for name in contents} == {'rrl_pipeline'}
  expected = {
      str(path.relative_to(ROOT)) for path in ROOT.glob('rrl_pipeline/**/*.py')}
  for top in LINKED:
    expected |= {f'rrl_pipeline/{path.relative_to(ROOT)}'
                 for path in (ROOT / top).rglob('*.py')}
  assert {name for name in contents if name.endswith('.py')} == expected


def test_wheel_holds_the_data_files_but_none_for_tests(wheel):
  expected = set()
  for top, below in (('rrl_pipeline', ''),
                     *((name, 'rrl_pipeline/') for name in LINKED)):
    for path in (ROOT / top).rglob('*'):
      if (path.is_file() and path.suffix not in ('.py', '.pyc')
          and 'dummy_data' not in path.parts):
        expected.add(f'{below}{path.relative_to(ROOT)}')
  assert {name for name in _contents(wheel)
          if not name.endswith('.py')} == expected


def test_sdist_keeps_the_links_and_builds_the_same_wheel(sdist, wheel):
  for name in LINKED:
    assert os.readlink(sdist / 'rrl_pipeline' / name) == f'../{name}'
  for name in ('Makefile', 'requirements.txt', 'BUILD', 'LICENSE', '.ci/run'):
    assert (sdist / name).read_bytes() == (ROOT / name).read_bytes()
  again = _build('bdist_wheel', sdist, sdist.parent / 'wheel')
  assert _contents(again) == _contents(wheel)


def test_installed_files_import_away_from_the_project(wheel, tmp_path):
  with zipfile.ZipFile(wheel) as archive:
    archive.extractall(tmp_path / 'site')
  modules = [
      'rrl_pipeline', 'rrl_pipeline.beam_jobs.transforms',
      'rrl_pipeline.datasets.atari_replay', 'rrl_pipeline.launch.presets']
  program = ('import importlib\n'
             f'print([importlib.import_module(m).__file__ for m in {modules}])')
  result = _run('-c', program, cwd=tmp_path,
                env={**os.environ, 'PYTHONPATH': str(tmp_path / 'site')})
  assert result.returncode == 0, result.stderr
  assert all(path.startswith(str(tmp_path))
             for path in ast.literal_eval(result.stdout))


@pytest.mark.parametrize('name', LINKED)
def test_a_lost_link_is_one_clear_line(name, copy, tmp_path):
  shutil.copytree(copy / 'rrl_pipeline', tmp_path / 'rrl_pipeline',
                  symlinks=True)
  shutil.copy(copy / 'setup.py', tmp_path)
  for other in LINKED:
    (tmp_path / other).mkdir()
  (tmp_path / 'rrl_pipeline' / name).unlink()
  (tmp_path / 'rrl_pipeline' / name).write_text(f'../{name}')
  result = _run('setup.py', '--version', cwd=tmp_path)
  assert result.returncode == 1
  assert result.stderr == (
      f'error: rrl_pipeline/{name} must be a symbolic link to ../{name}, but '
      'this copy of the project lost it: get the project with git clone or '
      'tar, on Linux, which keep links\n')


def test_metadata():
  metadata = importlib.metadata.metadata('rrl-pipeline')
  assert metadata['Version'] == rrl_pipeline.__version__
  assert metadata['License-Expression'] == 'Apache-2.0'
  python = specifiers.SpecifierSet(metadata['Requires-Python'])
  assert python == specifiers.SpecifierSet('>=3.11,<3.12')
  licence = (ROOT / 'LICENSE').read_text()
  assert 'Apache License\n                           Version 2.0' in licence
  assert 'END OF TERMS AND CONDITIONS' in licence


def test_console_script():
  script, = importlib.metadata.entry_points(
      group='console_scripts', name='rrl-launch')
  assert script.value == 'rrl_pipeline.launch.launch:main'
  assert callable(script.load())


def test_pins_are_exact_and_within_the_declared_ranges():
  pins = _pins()
  for name, version in pins.items():
    assert re.fullmatch(r'[0-9][0-9a-z.]*', version), f'{name}=={version}'
    assert name == utils.canonicalize_name(name)
  assert list(pins) == sorted(pins)
  for requirement in _declared():
    version = pins[utils.canonicalize_name(requirement.name)]
    assert version in requirement.specifier, f'{requirement} but {version}'


def test_pins_are_complete():
  """Whatever a pinned package needs is pinned too, and installed as pinned."""
  pins = _pins()
  needed = {*pins, *MISSION}
  for name in pins:
    needed |= _needed_by(name)
  assert needed - set(pins) == set()
  for name, version in pins.items():
    assert importlib.metadata.version(name) == version


def test_only_dopamine_needs_a_display_library():
  """The packages whose import loads libGL, and who asks for them.

  Dopamine is there because the balloon's simulator names it; nobody imports it.
  """
  asking = {
      (name, needed) for name in _pins() for needed in _needed_by(name)
      if needed in ('opencv-python', 'pyglet', 'pyopengl')}
  assert asking == {('dopamine-rl', 'opencv-python')}


def test_installed_packages_agree():
  result = _run('-m', 'pip', 'check', '--disable-pip-version-check')
  assert result.returncode == 0, result.stdout


def test_every_import_is_declared():
  distributions = importlib.metadata.packages_distributions()
  declared = {utils.canonicalize_name(r.name) for r in _declared()}
  # The programs that wrote the sample logs run where Dopamine is installed, and
  # those that time CleanRL and Dopamine where these are.
  sources = [path for top in ('rrl_pipeline', *LINKED, 'tests', 'benchmarks')
             for path in (ROOT / top).rglob('*.py')
             if 'testdata' not in path.parts
             and path.name not in ('cleanrl_qdagger.py', 'dopamine_dqn.py')]
  undeclared = set()
  for path in sources:
    for node in ast.walk(ast.parse(path.read_text())):
      names = []
      if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
      elif isinstance(node, ast.ImportFrom) and not node.level:
        names = [node.module]
      for name in names:
        top = name.split('.')[0]
        if top in sys.stdlib_module_names or top == 'rrl_pipeline':
          continue
        if (path.parent / f'{top}.py').exists():
          continue  # A program finds what lies beside it.
        owners = map(utils.canonicalize_name, distributions.get(top, ()))
        if declared.isdisjoint(owners):
          undeclared.add(f'{path.relative_to(ROOT)} imports {name}')
  assert not undeclared
