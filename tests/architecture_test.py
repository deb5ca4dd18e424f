"""Holds the sources to the architecture: who may import whom, who reads what.

Every rule is a function that returns its violations, one line each. One test
applies it to the project, another to a made-up source that breaks it, so that
a rule that stopped seeing anything is noticed.
"""

import ast
import collections
import dataclasses
import pathlib
import subprocess
import sys
from typing import Iterable, Iterator, Mapping, Sequence

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = 'rrl_pipeline'
LINKED = ('beam_jobs', 'datasets', 'launch')

# Imports go to the same or a lower layer. What stands directly in the package,
# modules and sub-packages, has its place here.
LAYERS = (
    ('attempts', 'formats', 'machine', 'overrides', 'run_directory', 'scores',
     'settings', 'stopping', 'types'),
    ('environments', 'logs', 'networks', 'replay', 'rlds', 'teachers'),
    ('agents',),
    ('reports', 'training'),
    ('config', 'stages'),
    ('beam_jobs',),
    ('datasets',),
    ('launch',),
    ('testing',),
)

# What converts logs runs in many short-lived workers; importing TensorFlow
# costs each of them seconds and hundreds of megabytes, and Reverb, RLDS, Acme
# and whatever is built on TensorFlow bring it along.
WORKERS = ('logs', 'rlds.schema', 'rlds.validation', 'rlds.png',
           'beam_jobs.transforms', 'beam_jobs.derived_units',
           'beam_jobs.record_rewrite')
HEAVY = ('acme', 'keras', 'reverb', 'rlds', 'sonnet', 'tensorflow',
         'tensorflow_probability', 'tf_agents', 'trfl')
# What imports TensorFlow at once, and so settles which kernels it has.
KERNELS = ('keras', 'reverb', 'rlds', 'tensorflow', 'tf_agents')
LEARNERS = ('agents', 'replay', 'training')
# Each of them loads with an unpickler that runs nothing.
UNPICKLING = ('logs', 'teachers.array_pickle')
UNPICKLERS = ('cloudpickle', 'dill', 'marshal', 'pickle', 'shelve')


@dataclasses.dataclass(frozen=True)
class Module:
  """A parsed source: its dotted name below the package, or '' for its root."""

  name: str
  tree: ast.Module
  is_package: bool = False


def read_modules(root: pathlib.Path) -> Mapping[str, Module]:
  """The modules of the package, those behind its three links included."""
  modules = {}
  for top in (PACKAGE, *LINKED):
    base = root / PACKAGE if top == PACKAGE else root
    # rglob does not follow links, so each file is found once.
    for path in (root / top).rglob('*.py'):
      parts = path.relative_to(base).with_suffix('').parts
      is_package = parts[-1] == '__init__'
      name = '.'.join(parts[:-1] if is_package else parts)
      modules[name] = Module(
          name, ast.parse(path.read_text(encoding='utf-8')), is_package)
  return modules


def made_up(**texts: str) -> Mapping[str, Module]:
  """Modules from their sources; in the keywords, '__' stands for the dot."""
  return {
      name: Module(name, ast.parse(source))
      for name, source in (
          (key.replace('__', '.'), value) for key, value in texts.items())
  }


def _statements(node: ast.AST) -> Iterator[ast.AST]:
  """All nodes below `node` but those that only a type checker sees."""
  for child in ast.iter_child_nodes(node):
    if (isinstance(child, ast.If)
        and 'TYPE_CHECKING' in ast.unparse(child.test)):
      yield from (n for other in child.orelse for n in ast.walk(other))
      continue
    yield child
    yield from _statements(child)


def imported(module: Module) -> Iterator[str]:
  """Dotted names imported anywhere in a module, 'a.b' of `from a import b`."""
  for node in _statements(module.tree):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      source = node.module or ''
      if node.level:
        parts = [PACKAGE, *filter(None, module.name.split('.'))]
        keep = len(parts) - node.level + module.is_package
        source = '.'.join([*parts[:keep], *filter(None, [source])])
      yield from (f'{source}.{alias.name}' for alias in node.names)


def own_imports(module: Module, modules: Mapping[str, Module]) -> set[str]:
  """Names of the project's modules that a module imports."""
  found = set()
  for name in imported(module):
    first, *rest = name.split('.')
    if first == PACKAGE and rest:
      # `from package import function` names one more part than the module has.
      prefixes = ('.'.join(rest[:n]) for n in range(len(rest), 0, -1))
      found.add(next((p for p in prefixes if p in modules), rest[0]))
  return found


def component(name: str) -> str:
  return name.split('.')[0]


def layer_violations(modules: Mapping[str, Module]) -> list[str]:
  layers = {name: i for i, layer in enumerate(LAYERS) for name in layer}
  # The package itself lies below everything.
  layers[''] = -1
  found = []
  for module in modules.values():
    if component(module.name) not in layers:
      found.append(f'{module.name}: in no layer, give it one in LAYERS')
      continue
    for target in own_imports(module, modules):
      if layers.get(component(target), -1) > layers[component(module.name)]:
        found.append(f'{module.name} imports {target} of a higher layer')
  return found


def cycle_violations(modules: Mapping[str, Module]) -> list[str]:
  graph = collections.defaultdict(set)
  for module in modules.values():
    for target in own_imports(module, modules):
      if component(target) != component(module.name):
        graph[component(module.name)].add(component(target))

  def reachable(start: str) -> set[str]:
    seen, queue = set(), [start]
    while queue:
      new = graph[queue.pop()] - seen
      seen |= new
      queue.extend(new)
    return seen

  reached = {name: reachable(name) for name in list(graph)}
  return [f'{name} imports itself through other packages'
          for name, names in reached.items() if name in names]


def reached_violations(
    modules: Mapping[str, Module], starts: Sequence[str],
    forbidden: Iterable[str]) -> list[str]:
  """Chains of imports that lead from `starts` to a forbidden package."""
  chains = {}
  queue = collections.deque()

  def enter(name: str, chain: tuple[str, ...]) -> None:
    # Python runs the __init__.py of every package on the way to a module.
    parts = name.split('.')
    for n in range(len(parts) + 1):
      ancestor = '.'.join(parts[:n])
      if ancestor in modules and ancestor not in chains:
        chains[ancestor] = (*chain, ancestor or PACKAGE)
        queue.append(ancestor)

  for start in starts:
    inside = [name for name in modules if f'{name}.'.startswith(f'{start}.')]
    if not inside:
      return [f'{start}: there is no such module']
    for name in inside:
      enter(name, ())
  found = []
  while queue:
    name = queue.popleft()
    for target in own_imports(modules[name], modules):
      enter(target, chains[name])
    for target in imported(modules[name]):
      if component(target) in forbidden:
        found.append(' imports '.join((*chains[name], target)))
  return found


def bare_import_violations(modules: Iterable[Module]) -> list[str]:
  return [
      f'{module.name} imports {name}: write {PACKAGE}.{name}'
      for module in modules for name in imported(module)
      if component(name) in LINKED
  ]


def _is_config(node: ast.AST) -> bool:
  return (isinstance(node, ast.ClassDef) and node.name.endswith('Config')
          and any('dataclass' in ast.unparse(d) for d in node.decorator_list))


def _attributes_read(node: ast.AST) -> collections.Counter:
  return collections.Counter(
      n.attr for n in ast.walk(node)
      if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Load))


def config_violations(modules: Mapping[str, Module]) -> list[str]:
  """Config dataclasses that are not frozen, and their fields nobody reads."""
  read = collections.Counter()
  for module in modules.values():
    read.update(_attributes_read(module.tree))
  found = []
  for module in modules.values():
    for node in filter(_is_config, ast.walk(module.tree)):
      name = f'{module.name}.{node.name}'
      if not any('frozen=True' in ast.unparse(d) for d in node.decorator_list):
        found.append(f'{name} is not frozen')
      outside = read - _attributes_read(node)
      # What a method reads is read if the method itself is used outside.
      for method in node.body:
        if isinstance(method, ast.FunctionDef) and outside[method.name]:
          outside.update(_attributes_read(method))
      found.extend(
          f'{name}.{field.target.id} is read nowhere' for field in node.body
          if isinstance(field, ast.AnnAssign)
          and 'ClassVar' not in ast.unparse(field.annotation)
          and not outside[field.target.id])
  return found


def pickle_violations(modules: Mapping[str, Module]) -> list[str]:
  found = []
  for module in modules.values():
    if {component(module.name), module.name} & set(UNPICKLING):
      continue
    found.extend(f'{module.name} imports {name}' for name in imported(module)
                 if component(name) in UNPICKLERS)
    found.extend(
        f'{module.name}:{node.value.lineno} says allow_pickle'
        for node in ast.walk(module.tree)
        if isinstance(node, ast.keyword) and node.arg == 'allow_pickle'
        and not (isinstance(node.value, ast.Constant) and not node.value.value))
  return found


def kernel_violations(modules: Iterable[Module]) -> list[str]:
  """Those that import this package after it could have chosen kernels."""
  found = []
  for module in modules:
    names = [component(name) for name in imported(module)]
    early = names[:names.index(PACKAGE)] if PACKAGE in names else []
    found.extend(f'{module.name} imports {name} before {PACKAGE}'
                 for name in early if name in KERNELS)
  return found


def sources(root: pathlib.Path) -> Iterator[Module]:
  """Every Python file that is written for the project, tests included."""
  for top in (PACKAGE, *LINKED, 'benchmarks', 'tests'):
    for path in (root / top).rglob('*.py'):
      yield Module(str(path.relative_to(root)), ast.parse(path.read_text()))


@pytest.fixture(scope='module', name='modules')
def fixture_modules() -> Mapping[str, Module]:
  return read_modules(ROOT)


def _check(found: Sequence[str], *expected: str) -> None:
  assert sorted(found) == sorted(expected), '\n' + '\n'.join(found)


def test_imports_go_to_the_same_or_a_lower_layer(modules):
  _check(layer_violations(modules))
  _check(
      layer_violations(made_up(
          agents__losses='from rrl_pipeline import types', types='',
          replay__tables='def f():\n  from rrl_pipeline.agents import losses')),
      'replay.tables imports agents.losses of a higher layer')
  _check(layer_violations(made_up(helpers='')),
         'helpers: in no layer, give it one in LAYERS')


def test_relative_imports_are_seen():
  package = Module('agents', ast.parse('from . import losses'), True)
  modules = {'agents': package, **made_up(
      agents__losses='from ..launch import launch', launch='')}
  assert own_imports(modules['agents'], modules) == {'agents.losses'}
  _check(layer_violations(modules),
         'agents.losses imports launch of a higher layer')


def test_packages_do_not_import_each_other_in_a_circle(modules):
  _check(cycle_violations(modules))
  circle = made_up(logs__a='import rrl_pipeline.rlds.b',
                   rlds__b='from rrl_pipeline.logs.a import f')
  _check(cycle_violations(circle),
         'logs imports itself through other packages',
         'rlds imports itself through other packages')


def test_conversion_workers_import_nothing_heavy(modules):
  _check(reached_violations(modules, WORKERS, HEAVY))
  heavy = made_up(
      logs__a='from rrl_pipeline import types',
      rlds__b='import tensorflow as tf',
      types='if typing.TYPE_CHECKING:\n  import reverb\n'
            'from rrl_pipeline.rlds import b')
  _check(reached_violations(heavy, ['logs'], HEAVY),
         'logs.a imports types imports rlds.b imports tensorflow')
  package = {**made_up(rlds__schema=''),
             'rlds': Module('rlds', ast.parse('import rlds'), True)}
  _check(reached_violations(package, ['rlds.schema'], HEAVY),
         'rlds imports rlds')
  _check(reached_violations(made_up(), ['logs'], HEAVY),
         'logs: there is no such module')


def test_conversion_workers_load_nothing_heavy(modules):
  names = [f'{PACKAGE}.{name}'.rstrip('.') for name in modules
           if any(f'{name}.'.startswith(f'{w}.') for w in WORKERS)]
  program = (f'import importlib, sys\nfor name in {names}:\n'
             '  importlib.import_module(name)\n'
             f'print([name for name in {HEAVY} if name in sys.modules])')
  result = subprocess.run([sys.executable, '-c', program], cwd=ROOT, text=True,
                          capture_output=True, check=False)
  assert result.stdout == '[]\n', result.stderr


def test_learners_import_no_beam(modules):
  _check(reached_violations(modules, LEARNERS, ['apache_beam']))
  _check(
      reached_violations(
          made_up(agents='from rrl_pipeline.rlds import statistics',
                  rlds__statistics='import apache_beam.metrics as m'),
          ['agents'], ['apache_beam']),
      'agents imports rlds.statistics imports apache_beam.metrics')


def test_linked_folders_are_imported_through_the_package():
  _check(bare_import_violations(sources(ROOT)))
  _check(bare_import_violations(
      made_up(types='from launch import presets\nimport mylaunch').values()),
         'types imports launch.presets: write rrl_pipeline.launch.presets')


def test_every_config_field_is_read(modules):
  _check(config_violations(modules))
  config = (
      '@dataclasses.dataclass(frozen=True)\nclass TestConfig:\n'
      '  gamma: float\n  rate: float\n  steps: int\n'
      '  NAMES: ClassVar[int] = 1\n'
      '  def __post_init__(self):\n    check(self.rate)\n'
      '  def limit(self):\n    return self.steps\n')
  use = 'def f(config):\n  config.rate = 1\n  return config.{}, config.limit()'
  _check(config_violations(made_up(a=config, b=use.format('gamma'))),
         'a.TestConfig.rate is read nowhere')
  _check(config_violations(
      made_up(a=config, b=use.format('gamma, config.rate'))))
  _check(config_violations(made_up(
      a='@dataclasses.dataclass\nclass TestConfig:\n  pass')),
         'a.TestConfig is not frozen')


def test_only_readers_of_foreign_files_unpickle(modules):
  _check(pickle_violations(modules))
  _check(pickle_violations(made_up(
      logs__dopamine='import pickle', teachers__a='from pickle import loads')),
         'teachers.a imports pickle.loads')
  _check(pickle_violations(made_up(
      rlds__a='np.load(a, allow_pickle=False)\nnp.load(a, allow_pickle=b)')),
         'rlds.a:2 says allow_pickle')


def test_benchmarks_time_the_kernels_that_are_used():
  _check(kernel_violations(
      m for m in sources(ROOT) if m.name.startswith('benchmarks')))
  _check(kernel_violations(made_up(
      a='import reverb\nfrom rrl_pipeline.replay import tables',
      b='import rrl_pipeline\nimport reverb',
      c='import tensorflow').values()),
         'a imports reverb before rrl_pipeline')


def test_links_are_followed_nowhere(tmp_path):
  (tmp_path / PACKAGE).mkdir()
  for name in LINKED:
    (tmp_path / name).mkdir()
    (tmp_path / name / 'a.py').write_text('')
    (tmp_path / PACKAGE / name).symlink_to(f'../{name}')
  assert len(list(sources(tmp_path))) == 3
  assert sorted(read_modules(tmp_path)) == [
      'beam_jobs.a', 'datasets.a', 'launch.a']
