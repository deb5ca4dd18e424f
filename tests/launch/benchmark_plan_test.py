"""Tests of which runs a benchmark has, and of their settings."""

import json

import pytest

from rrl_pipeline import config as config_lib
from rrl_pipeline.agents import methods
from rrl_pipeline.launch import benchmark_plan
from rrl_pipeline.launch import suites
from rrl_pipeline.testing import synthetic_run

_SUITE = 'atari10_100k'


def _plan(directory, **settings):
  values = {
      'suite': _SUITE,
      'methods': ('qdagger', 'tabula_rasa'),
      'games': ('Breakout', 'Qbert'),
      'num_seeds': 2,
      'changes': (),
  } | settings
  return benchmark_plan.make_plan(
      directory, benchmark_plan.make_request(**values)
  )


def _by_name(runs):
  return {run.name: run for run in runs}


def test_runs_are_methods_by_tasks_by_seeds(tmp_path):
  plan = _plan(tmp_path)
  assert [run.name for run in plan.tasks] == ['Breakout', 'Qbert']
  assert [run.name for run in plan.cells] == [
      f'{method}/{task}/seed{seed}'
      for method in ('qdagger', 'tabula_rasa')
      for task in ('Breakout', 'Qbert')
      for seed in (0, 1)
  ]
  assert len({run.directory for run in (*plan.tasks, *plan.cells)}) == 10
  assert not list(tmp_path.iterdir())


def test_what_is_done_is_not_left(tmp_path):
  plan = _plan(tmp_path)
  task, cell = plan.tasks[0], plan.cells[0]
  assert task.open_stages() == ('teacher', 'collect', 'dataset')
  assert cell.open_stages() == ('offline', 'online', 'evaluate')
  for run, stage in ((task, 'teacher'), (cell, 'offline')):
    done = run.directory / stage / 'DONE.json'
    done.parent.mkdir(parents=True)
    done.touch()
  assert task.open_stages() == ('collect', 'dataset')
  assert cell.open_stages() == ('online', 'evaluate')


def test_cells_differ_in_seed_game_and_method_only(tmp_path):
  cells = _by_name(_plan(tmp_path).cells)
  suite = suites.SUITES[_SUITE]
  for name, run in cells.items():
    method, task, seed = name.split('/')
    assert run.config.agent == suite.adapt(methods.METHODS[method].agent)
    assert run.config.environment.game == task
    assert f'seed{run.config.seed}' == seed
    assert run.config.online == suite.settings(task).online


def test_network_of_a_method_is_brought_to_the_suites_scale(tmp_path):
  plan = _plan(
      tmp_path,
      suite='minatar',
      methods=('qdagger_rainbow', 'qdagger'),
      games=('Breakout',),
      num_seeds=1,
  )
  rainbow, qdagger = (run.config.network for run in plan.cells)
  paper = methods.METHODS['qdagger_rainbow'].network
  assert rainbow == suites.SUITES['minatar'].adapt_network(paper) != paper
  assert qdagger == suites.SUITES['minatar'].settings('Breakout').network


def test_what_has_no_teacher_learns_nothing_offline(tmp_path):
  plan = _plan(tmp_path, changes=('offline.num_learner_steps=70',))
  for name, run in _by_name(plan.cells).items():
    expected = 70 if name.startswith('qdagger') else 0
    assert run.config.offline.num_learner_steps == expected


def test_settings_of_the_user_hold_for_all_runs(tmp_path):
  plan = _plan(
      tmp_path,
      changes=('agent.n_step=5', 'teacher.bundle=my/{game}'),
  )
  for run in (*plan.tasks, *plan.cells):
    assert run.config.agent.n_step == 5
    assert run.config.teacher.bundle == f'my/{run.task}'


def _finish_task(plan, task, dataset, teacher_return=1e6):
  directory = plan.directory / 'tasks' / task
  synthetic_run.write_json(
      directory / 'dataset' / 'DONE.json', {'outputs': {'dataset': dataset}}
  )
  synthetic_run.write_json(
      directory / 'teacher' / 'bundle' / 'bundle.json',
      {'score': {'mean_return': teacher_return}},
  )
  return directory


def test_cells_get_teacher_and_data_of_their_task(tmp_path):
  plan = _plan(tmp_path, changes=('logs.path=/logs/{game}',))
  qbert = _finish_task(plan, 'Qbert', 'dataset/a/b/1.0.0')
  jobs = {job.name: job for job in benchmark_plan.jobs(plan, 'command', {})}
  job = jobs['qdagger/Qbert/seed1']
  assert job.needs == 'Qbert'
  command = job.prepare()
  run = plan.directory / 'cells' / 'qdagger/Qbert/seed1'
  assert command[-2:] == [
      f'--run_dir={run}',
      '--stage=teacher,collect,dataset,offline,online,evaluate',
  ]
  config = config_lib.read(run / 'config.json')
  assert config.teacher.bundle == str(qbert / 'teacher' / 'bundle')
  assert config.dataset.path == str(qbert / 'dataset/a/b/1.0.0')
  assert config.logs.path == ''
  assert (run / 'command.txt').read_text() == 'command\n'
  # A task's own run makes what its cells are given.
  assert jobs['Qbert'].needs is None
  assert jobs['Qbert'].prepare()[-1] == '--stage=teacher,collect,dataset'
  config = config_lib.read(qbert / 'config.json')
  assert (config.teacher.bundle, config.dataset.path) == ('', '')
  assert config.logs.path == '/logs/Qbert'


def test_dataset_of_the_user_is_used_where_it_is(tmp_path):
  plan = _plan(tmp_path, changes=('dataset.path=/data/{game}',))
  _finish_task(plan, 'Breakout', '/data/Breakout')
  jobs = {job.name: job for job in benchmark_plan.jobs(plan, 'command', {})}
  jobs['qdagger/Breakout/seed0'].prepare()
  config = config_lib.read(
      plan.directory / 'cells/qdagger/Breakout/seed0/config.json'
  )
  assert config.dataset.path == '/data/Breakout'


def test_students_of_a_teacher_at_random_level_are_not_begun(tmp_path):
  plan = _plan(tmp_path)
  _finish_task(plan, 'Breakout', 'dataset/a', teacher_return=1.7)
  jobs = {job.name: job for job in benchmark_plan.jobs(plan, 'command', {})}
  with pytest.raises(ValueError, match='not above random play'):
    jobs['qdagger/Breakout/seed0'].prepare()
  assert not (plan.directory / 'cells').exists()


def test_record_grows_with_the_benchmark(tmp_path):
  benchmark_plan.write_record(_plan(tmp_path, num_seeds=1), 'first')
  benchmark_plan.write_record(
      _plan(tmp_path, methods=('qdagger',), games=('Enduro',)), 'second'
  )
  record = json.loads((tmp_path / 'benchmark.json').read_text())
  assert list(record['tasks']) == ['Breakout', 'Enduro', 'Qbert']
  assert record['tasks']['Breakout']['random_return'] == 1.7
  assert len({cell['run'] for cell in record['cells']}) == 6
  assert record['cells'][0] == {
      'method': 'qdagger',
      'task': 'Breakout',
      'seed': 0,
      'run': 'cells/qdagger/Breakout/seed0',
      'uses_teacher': True,
      'uses_data': True,
  }
  alone = next(c for c in record['cells'] if c['method'] == 'tabula_rasa')
  assert not alone['uses_teacher'] and not alone['uses_data']


def test_another_benchmark_is_refused(tmp_path):
  benchmark_plan.write_record(_plan(tmp_path), 'first')
  with pytest.raises(ValueError, match=r'with --set \[\], not .*n_step=1'):
    benchmark_plan.write_record(
        _plan(tmp_path, changes=('agent.n_step=1',)), 'second'
    )
  with pytest.raises(ValueError, match='--suite atari10_100k, not atari10'):
    benchmark_plan.write_record(_plan(tmp_path, suite='atari10'), 'second')


def test_all_methods_and_games_by_default():
  request = benchmark_plan.make_request(_SUITE, [], [], 1, [])
  assert request.methods == tuple(methods.METHODS)
  assert request.games == suites.SUITES[_SUITE].games


@pytest.mark.parametrize(
    'settings, message',
    (
        ({'suite': 'minitar'}, "no suite is called 'minitar'.*minatar"),
        ({'methods': ['qdager']}, "no method is called 'qdager'.*qdagger"),
        ({'games': ['Pong']}, "no game is called 'Pong'; there are: Asterix"),
    ),
)
def test_unknown_names_are_refused(tmp_path, settings, message):
  with pytest.raises(ValueError, match=message):
    _plan(tmp_path, **settings)
