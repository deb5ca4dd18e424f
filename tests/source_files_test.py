"""Holds every file of the project to its size, its words and its name.

As in architecture_test.py, each rule is also shown a text that breaks it.
"""

import importlib.metadata
import pathlib
import re
import sys
from typing import Iterable, Iterator, Sequence

ROOT = pathlib.Path(__file__).resolve().parents[1]
PROGRAM_FOLDERS = ('beam_jobs', 'datasets', 'launch')
MAX_LINES = 400

# Paths of one machine, hosts of registries and unfinished work. They are put
# together from halves, or this file would break its own rule.
FORBIDDEN_WORDS = tuple(first + second for first, second in (
    ('/wo', 'rk/'), ('../sha', 'red'), ('/ro', 'ot/'), ('pypi.', 'org'),
    ('pythonhosted.', 'org'), ('npmjs.', 'org'), ('TO', 'DO'), ('FIX', 'ME'),
    ('NotImplemented', 'Error')))
TEXT_SUFFIXES = ('', '.bazel', '.bib', '.in', '.json', '.md', '.py', '.toml',
                 '.txt')
GENERATED = ('.git', '.hypothesis', '.pytest_cache', '.venv', '__pycache__',
             'build', 'dist', 'node_modules', 'runs')


def files(root: pathlib.Path) -> Iterator[pathlib.Path]:
  """The project's own files, each once: links are not followed."""
  for path in sorted(root.iterdir()):
    if path.is_symlink() or path.name in GENERATED:
      continue
    if path.is_dir():
      if path.suffix != '.egg-info':
        yield from files(path)
    else:
      yield path


def text_violations(name: str, text: str) -> list[str]:
  found = []
  if name.endswith('.py') and text.count('\n') > MAX_LINES:
    found.append(f'{name} has more than {MAX_LINES} lines')
  for word in FORBIDDEN_WORDS:
    where = re.search(rf'(?<!\w){re.escape(word)}', text)
    if where:
      line = text.count('\n', 0, where.start()) + 1
      found.append(f'{name}:{line} says {word}')
  return found


def name_violations(names: Iterable[str]) -> list[str]:
  """Programs run by path put their folder first on the import path."""
  taken = {*sys.stdlib_module_names,
           *importlib.metadata.packages_distributions()}
  return [f'{name} hides the installed module of that name' for name in names
          if pathlib.PurePath(name).stem in taken]


def _check(found: Sequence[str], *expected: str) -> None:
  assert list(found) == list(expected), '\n' + '\n'.join(found)


def test_files_are_short_and_free_of_forbidden_words():
  found = []
  for path in files(ROOT):
    if path.suffix in TEXT_SUFFIXES:
      found.extend(text_violations(
          str(path.relative_to(ROOT)),
          path.read_text(encoding='utf-8', errors='replace')))
  _check(found)


def test_a_long_file_is_found():
  _check(text_violations('a.py', 'x\n' * (MAX_LINES + 1)),
         'a.py has more than 400 lines')
  _check(text_violations('a.py', 'x\n' * MAX_LINES))


def test_a_forbidden_word_is_found():
  for word in FORBIDDEN_WORDS:
    _check(text_violations('a.md', f'\nsee "{word}a'), f'a.md:2 says {word}')


def test_programs_hide_no_installed_module():
  _check(name_violations(
      path.name for top in PROGRAM_FOLDERS for path in (ROOT / top).iterdir()))
  _check(name_violations(['types.py', 'publish.py']),
         'types.py hides the installed module of that name')


def test_links_and_generated_folders_are_skipped(tmp_path):
  for folder in ('a', '.venv'):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / 'b.py').write_text('')
  (tmp_path / 'link').symlink_to('a')
  assert list(files(tmp_path)) == [tmp_path / 'a' / 'b.py']
