"""Tests of a benchmark's report against figures worked out by hand."""

import html.parser
import json
import re

import numpy as np
import pytest

from rrl_pipeline.reports import benchmark_report
from rrl_pipeline.reports import benchmark_results
from rrl_pipeline.testing import synthetic_benchmark

_RESAMPLES = 50
# (return - random) / (15.3 - random) of the finished agents' single episode.
_PONG, _BREAKOUT = ((lambda r, low=low: (r - low) / (15.3 - low))
                    for low in (-20.7, 1.7))


@pytest.fixture(name='root', scope='module')
def fixture_root(tmp_path_factory):
  return synthetic_benchmark.write(tmp_path_factory.mktemp('benchmark'))


@pytest.fixture(name='report', scope='module')
def fixture_report(root):
  return benchmark_report.build(root, _RESAMPLES)


def _remove_done(root, cell):
  (root / 'cells' / cell / 'evaluate' / 'DONE.json').unlink()


def test_aggregates_by_hand(report):
  qdagger = np.array([[_PONG(13), _BREAKOUT(13)], [_PONG(14), _BREAKOUT(14)]])
  tabula_rasa = np.array([[_PONG(5), _BREAKOUT(5)], [_PONG(6), _BREAKOUT(6)]])
  for method, scores in (('qdagger', qdagger), ('tabula_rasa', tabula_rasa)):
    estimates = report.summary['aggregates'][method]
    assert estimates['runs_per_task'] == 2
    # Of four scores the middle two are left.
    middle = np.sort(scores, axis=None)[1:3]
    assert estimates['iqm']['value'] == pytest.approx(middle.mean())
    assert estimates['mean']['value'] == pytest.approx(scores.mean())
    assert estimates['optimality_gap']['value'] == pytest.approx(
        (1 - np.minimum(scores, 1)).mean()
    )
    assert estimates['iqm']['low'] <= middle.mean() <= estimates['iqm']['high']
  assert report.summary['improvement']['baseline'] == 'tabula_rasa'
  assert report.summary['improvement']['probability']['qdagger']['value'] == 1


def test_curve_is_the_iqm_of_all_runs_at_each_position(report):
  curve = report.summary['curves']['qdagger']
  # The first position is that of the last offline evaluation, of mean 4.5.
  assert curve['frames'] == [0, 4000, 8000, 12000]
  expected = [
      np.sort([_PONG(a), _PONG(b), _BREAKOUT(a), _BREAKOUT(b)])[1:3].mean()
      for a, b in ((4.5, 4.5), (6, 6), (9, 9), (12, 13))
  ]
  assert [e['value'] for e in curve['iqm']] == pytest.approx(expected)
  assert report.summary['curves']['tabula_rasa']['frames'] == [
      4000, 8000, 12000
  ]


def test_profile_is_the_share_of_runs_above(report):
  profiles = report.summary['profiles']
  final = np.array([_PONG(5), _PONG(6), _BREAKOUT(5), _BREAKOUT(6)])
  for threshold, estimate in zip(
      profiles['thresholds'], profiles['methods']['tabula_rasa'], strict=True
  ):
    assert estimate['value'] == pytest.approx((final > threshold).mean())


def test_tasks_have_means_over_seeds(report):
  entry = report.summary['per_task']['Breakout']['qdagger']
  scores = [_BREAKOUT(13), _BREAKOUT(14)]
  assert entry['score'] == pytest.approx(np.mean(scores))
  assert entry['std_score'] == pytest.approx(np.std(scores, ddof=1))
  assert entry['mean_return'] == 13.5


def test_compute_counts_what_a_method_uses(report):
  compute = report.summary['compute']
  # 3,600 frames collected for the task and 12,000 of own play; the teacher
  # had 400,000.
  assert compute['qdagger']['student']['frames'] == 15_600
  assert compute['qdagger']['lineage']['frames'] == 415_600
  # collect 10, dataset 20, offline 30 and online 40 seconds.
  assert compute['qdagger']['student']['wall_seconds'] == 100
  for key in ('student', 'lineage'):
    assert compute['tabula_rasa'][key]['frames'] == 12_000


def test_signatures_are_in_the_report(report):
  by_letter = {s['letter']: s for s in report.summary['signatures']}
  assert sorted(by_letter) == list('abcdef')
  offline, dip = by_letter['a']['claims']
  assert offline['figure']['value'] == pytest.approx(
      (_PONG(4.5) + _BREAKOUT(4.5)) / 2
  )
  # The last evaluation comes too late after 8,000 of 12,000 frames.
  assert 'no evaluation came before or after' in dip['obstacle']
  assert by_letter['c']['claims'][0]['obstacle'] == 'jsrl was not run'


def test_two_reports_of_the_same_runs_are_equal(root, report):
  np.random.random(7)
  again = benchmark_report.build(root, _RESAMPLES)
  assert again == report


def test_files(report, tmp_path):
  (tmp_path / 'figures').mkdir()
  (tmp_path / 'figures' / 'old.png').write_bytes(b'')
  page = benchmark_report.write(report, tmp_path)
  assert page == tmp_path / 'report.html'
  assert sorted(p.name for p in tmp_path.iterdir()) == [
      'curves.csv', 'figures', 'report.html', 'report.json', 'runs.csv',
      'tables.tex',
  ]
  assert sorted(p.name for p in (tmp_path / 'figures').iterdir()) == [
      'aggregates.png', 'improvement.png', 'profiles.png',
      'sample_efficiency.png', 'tasks.png',
  ]
  written = json.loads((tmp_path / 'report.json').read_text())
  assert written == json.loads(json.dumps(report.summary))
  for name, rows in (('runs.csv', 8), ('curves.csv', 8 * 3 + 4 * 2)):
    assert len((tmp_path / name).read_text().splitlines()) == 1 + rows


class _Nesting(html.parser.HTMLParser):
  """Checks that what is opened is closed, and in order."""

  def __init__(self):
    super().__init__()
    self.open = []

  def handle_starttag(self, tag, attrs):
    if tag not in ('img', 'meta'):
      self.open.append(tag)

  def handle_endtag(self, tag):
    assert self.open.pop() == tag


def test_page_is_well_formed(report):
  parser = _Nesting()
  parser.feed(report.html)
  parser.close()
  assert not parser.open
  assert 'http' not in report.html


def test_page_says_what_the_figures_say(report):
  words = re.sub(r'<[^>]+>|\s+', ' ', report.html)
  iqm = report.summary['aggregates']['qdagger']['iqm']
  assert f'{iqm["value"]:.2f} ({iqm["low"]:.2f} to {iqm["high"]:.2f})' in words
  assert words.count('not decidable at this scale') >= 6
  assert 'jsrl was not run' in words
  assert report.html.count('data:image/png;base64,') == len(report.pictures)


def test_tables_are_latex(report):
  lines = report.latex.splitlines()
  assert r'  tabula\_rasa & 0.52 (' in report.latex
  assert lines.count(r'  \bottomrule') == 2
  for line in lines:
    if ' & ' in line:
      assert line.endswith(r'\\')
  pong, = (line for line in lines if line.startswith('  Pong'))
  assert pong == r'  Pong & 0.95 $\pm$ 0.02 & 0.73 $\pm$ 0.02 \\'


def test_unfinished_cells_are_named_and_left_out(tmp_path):
  root = synthetic_benchmark.write(tmp_path)
  _remove_done(root, 'qdagger/Breakout/seed1')
  summary = benchmark_report.build(root, _RESAMPLES).summary
  assert summary['unfinished'] == [
      {'method': 'qdagger', 'task': 'Breakout', 'seed': 1}
  ]
  assert summary['aggregates']['qdagger']['runs_per_task'] == 1
  assert summary['aggregates']['qdagger']['iqm']['low'] is None
  assert summary['aggregates']['tabula_rasa']['iqm']['low'] is not None
  assert any('of the seeds 1' in note for note in summary['notes'])
  # Their finished tasks are shown all the same.
  assert summary['per_task']['Pong']['qdagger']['runs'] == 2


def test_method_without_a_complete_seed_is_in_no_comparison(tmp_path):
  root = synthetic_benchmark.write(tmp_path)
  for seed in (0, 1):
    _remove_done(root, f'tabula_rasa/Pong/seed{seed}')
  report = benchmark_report.build(root, _RESAMPLES)
  assert list(report.summary['aggregates']) == ['qdagger']
  assert report.summary['improvement']['baseline'] == 'qdagger'
  assert list(report.summary['per_task']['Breakout']) == [
      'qdagger', 'tabula_rasa'
  ]


def _spoil_teacher(root, task):
  for path in root.glob(f'cells/*/{task}/*/teacher/bundle/bundle.json'):
    bundle = json.loads(path.read_text())
    bundle['score']['mean_return'] = -21.0
    path.write_text(json.dumps(bundle))


def test_task_whose_teacher_is_at_random_level_is_left_out(tmp_path):
  root = synthetic_benchmark.write(tmp_path)
  _spoil_teacher(root, 'Pong')
  summary = benchmark_report.build(root, _RESAMPLES).summary
  note, = summary['notes']
  assert 'Pong is left out' in note and 'not above random play' in note
  assert {run['task'] for run in summary['runs']} == {'Breakout'}
  assert summary['aggregates']['qdagger']['mean']['value'] == pytest.approx(
      np.mean([_BREAKOUT(13), _BREAKOUT(14)])
  )
  _spoil_teacher(root, 'Breakout')
  with pytest.raises(ValueError, match='can be reported: .* not above random'):
    benchmark_report.build(root, _RESAMPLES)


def test_nothing_finished_is_an_error(tmp_path):
  root = synthetic_benchmark.write(tmp_path)
  for path in root.glob('cells/*/*/*/evaluate/DONE.json'):
    path.unlink()
  with pytest.raises(ValueError, match='no cell of the benchmark is finished'):
    benchmark_report.build(root, _RESAMPLES)
  with pytest.raises(ValueError, match='holds no benchmark.json'):
    benchmark_results.read(tmp_path / 'cells')
