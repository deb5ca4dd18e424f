"""Tests of the report as a whole: its files, and what its HTML is made of."""

import base64
import html.parser
import io
import json
import re

import numpy as np
from PIL import Image
import pytest

from rrl_pipeline import run_directory
from rrl_pipeline.environments import balloon_flights
from rrl_pipeline.reports import config as config_lib
from rrl_pipeline.reports import report
from rrl_pipeline.testing import synthetic_run

_CONFIG = config_lib.ReportConfig(bootstrap_resamples=100)
_VOID = ('br', 'img', 'meta', 'source')


class _Parser(html.parser.HTMLParser):
  """Checks the nesting, and collects words and attributes."""

  def __init__(self):
    super().__init__()
    self.open, self.words, self.elements = [], [], []

  def handle_starttag(self, tag, attrs):
    self.elements.append((tag, dict(attrs)))
    if tag not in _VOID:
      self.open.append(tag)

  def handle_endtag(self, tag):
    assert self.open.pop() == tag

  def handle_data(self, data):
    self.words.append(data)


def _parse(document):
  parser = _Parser()
  parser.feed(document)
  parser.close()
  assert not parser.open
  return parser


@pytest.fixture(name='written', scope='module')
def fixture_written(tmp_path_factory):
  """One run, reported into its own directory."""
  root = synthetic_run.write(tmp_path_factory.mktemp('runs') / 'run')
  report.write_report(report.build_report(root, _CONFIG), root / 'report')
  return root / 'report'


@pytest.fixture(name='page', scope='module')
def fixture_page(written):
  return _parse((written / 'report.html').read_text(encoding='utf-8'))


def _text(page):
  return re.sub(r'\s+', ' ', ' '.join(page.words))


def test_files(written):
  assert sorted(path.name for path in written.iterdir()) == [
      'figures', 'report.html', 'report.json', 'student.gif',
  ]
  assert sorted(path.name for path in (written / 'figures').iterdir()) == [
      'agreement_Pong.png',
      'diagnostics_Pong.png',
      'learning_curves_Pong.png',
      'losses_Pong.png',
      'schedule_Pong.png',
  ]


def test_json_holds_the_figures(written):
  figures = json.loads((written / 'report.json').read_text())
  assert figures['student']['teacher_normalised_score'] == pytest.approx(
      32.7 / 36
  )
  assert figures['tabula_rasa']['teacher_normalised_score'] == pytest.approx(
      0.7 / 36
  )


def test_the_page_states_the_claim_first(page):
  text = _text(page)
  headline = (
      "Pong: the student reaches 0.91 of its teacher's score, training from"
      ' scratch 0.02'
  )
  words = text[text.index(headline, text.index(headline) + 1) :]
  assert words.index('After 12,000 environment frames') < 100


def test_the_page_holds_the_numbers(page):
  text = _text(page)
  for part in (
      '0.91', '0.02', '−20.7', '15.3',
      '9, 12, 15', '−21, −20, −19', '12, 12, 14, 14',
      '400,000', '15,600', '415,600', '25,250', '2.0 h',
      'atari_replay/Pong_run_1/1.0.0', '890', '1.2 MB',
      'Abacus 7, 2 cores, 8.0 GB of memory',
      'rrl-launch --seed=1', 'make teacher', 'agent.n_step',
      'What these figures do not show',
  ):
    assert part in text, part


def test_the_page_needs_nothing_else(written, page):
  document = (written / 'report.html').read_text(encoding='utf-8')
  assert not re.search(r'https?:', document)
  assert not re.search(r'url\(|@import', document)
  tags = {tag for tag, _ in page.elements}
  assert not tags & {'script', 'link', 'iframe', 'object', 'video'}
  for _, attributes in page.elements:
    for name in ('src', 'srcset', 'href'):
      assert attributes.get(name, 'data:').startswith('data:')


def test_pictures_can_be_read_and_are_described(page):
  pictures = [attributes for tag, attributes in page.elements if tag == 'img']
  assert len(pictures) == 6
  for attributes in pictures:
    assert len(attributes['alt']) > 20
    data = base64.b64decode(attributes['src'].partition('base64,')[2])
    assert Image.open(io.BytesIO(data)).format in ('PNG', 'GIF')


def test_the_page_suits_phones_readers_and_paper(written, page):
  document = (written / 'report.html').read_text(encoding='utf-8')
  assert ('html', {'lang': 'en'}) in page.elements
  assert any(a.get('name') == 'viewport' for _, a in page.elements)
  assert '@media print' in document and 'prefers-reduced-motion' in document
  headers = [a for tag, a in page.elements if tag == 'th']
  assert headers and all('scope' in attributes for attributes in headers)


def test_the_film_is_short(written):
  film = Image.open(written / 'student.gif')
  assert film.n_frames == 40
  assert (written / 'student.gif').stat().st_size < 2_000_000


def test_the_film_can_be_cut(tmp_path):
  root = synthetic_run.write(tmp_path / 'run')
  config = config_lib.ReportConfig(bootstrap_resamples=10, film_seconds=1.0)
  film = report.build_report(root, config).film
  assert Image.open(io.BytesIO(film)).n_frames == 15


def test_the_same_run_gives_the_same_bytes(written, tmp_path):
  report.write_report(report.build_report(written.parent, _CONFIG), tmp_path)
  for path in sorted(written.rglob('*.*')):
    other = tmp_path / path.relative_to(written)
    assert other.read_bytes() == path.read_bytes()


def test_several_runs_go_into_one_report(tmp_path):
  roots = [
      synthetic_run.write(tmp_path / f'run_{seed}', seed, shift=seed)
      for seed in range(2)
  ]
  built = report.build_report(
      roots[0],
      config_lib.ReportConfig(
          other_runs=(str(roots[1]),), bootstrap_resamples=100
      ),
  )
  text = _text(_parse(built.html))
  assert '95 % intervals from 100 stratified bootstrap resamples' in text
  assert 'Thick line: mean over runs' in text
  assert [picture.name for picture in built.pictures][-1] == 'aggregates'


def test_a_bare_run_has_a_report_too(tmp_path):
  root = synthetic_run.write(tmp_path / 'run')
  for path in (
      *root.rglob('metrics.csv'),
      root / 'offline' / 'evaluations.jsonl',
      root / 'evaluate' / 'evaluations.jsonl',
      root / 'evaluate' / 'student_frames.npy',
      root / 'command.txt',
  ):
    path.unlink()
  for stage in ('collect', 'dataset', 'offline', 'evaluate'):
    (root / stage / 'DONE.json').unlink()
  (root / 'online' / 'tabula_rasa').rename(root / 'elsewhere')
  synthetic_run.write_json(
      root / 'teacher' / 'bundle' / 'bundle.json',
      {'score': {'mean_return': 15.3}},
  )
  built = report.build_report(root, _CONFIG)
  assert built.film is None
  text = _text(_parse(built.html))
  assert 'No control was run' in text
  assert 'The command of the run was not recorded' in text
  assert 'None' not in text and 'nan' not in text


def test_flights_of_the_same_seeds_are_compared(tmp_path):
  root = synthetic_run.write(tmp_path / 'run')
  scores = balloon_flights.ScoreFile(
      root / 'evaluate' / balloon_flights.SCORES
  )
  for agent, episode_return in (
      ('student', 350.0), ('teacher', 400.0), ('random_walk', 100.0)
  ):
    for seed in range(3):
      scores.append(
          balloon_flights.FlightScore(
              agent=agent, seed=seed, episode_return=episode_return + seed,
              time_within_radius=episode_return / 1000, out_of_power=False,
              envelope_burst=False, zeropressure=False, num_steps=960,
          )
      )
  balloon_flights.write_course(
      root / 'evaluate' / balloon_flights.COURSE,
      balloon_flights.Course(
          seed=1, agent='student', seconds_per_step=180,
          position_km=np.zeros((49, 2)), altitude_km=np.full(49, 16.0),
          battery=np.ones(49), actions=np.zeros(48, np.int32),
      ),
  )
  built = report.build_report(root, _CONFIG)
  flights = json.loads(json.dumps(built.summary))['flights']
  assert flights['seeds'] == [0, 1, 2]
  student = flights['agents']['student']
  assert student['normalised_score']['value'] == pytest.approx(250 / 300)
  assert student['difference']['value'] == pytest.approx(-0.05)
  headline, first = (
      built.summary['claim']['headline'], built.summary['claim']['sentences'][0]
  )
  assert 'the student reaches 0.83 of' in headline
  assert 'On 3 seeds that all agents flew' in first
  assert 'the student scores 0.83 (95 % 0.83 to 0.83)' in first
  assert {'balloon_scores', 'flight'} <= {p.name for p in built.pictures}
  text = _text(_parse(built.html))
  assert 'random walk 10.0 (10.0 to 10.0)' in text
  assert '351 (350 to 352) 0.83 (0.83 to 0.83) 0 0' in text


def test_a_run_without_flights_has_none_in_its_report(written, page):
  assert json.loads((written / 'report.json').read_text())['flights'] is None
  assert 'Flights on the same seeds' not in _text(page)


def test_a_new_report_leaves_nothing_of_an_old_one(tmp_path):
  root = synthetic_run.write(tmp_path / 'run')
  report.write_report(report.build_report(root, _CONFIG), root / 'report')
  (root / 'evaluate' / 'student_frames.npy').unlink()
  (root / 'report' / 'figures' / 'learning_curves_Tennis.png').write_bytes(b'')
  report.write_report(report.build_report(root, _CONFIG), root / 'report')
  assert not (root / 'report' / 'student.gif').exists()
  assert not list((root / 'report' / 'figures').glob('*Tennis*'))


def test_an_interrupted_write_leaves_the_old_report(
    written, tmp_path, monkeypatch
):
  built = report.build_report(written.parent, _CONFIG)
  report.write_report(built, tmp_path)
  before = (tmp_path / 'report.json').read_bytes()

  def fail(*unused_arguments):
    raise OSError('No space left on device')

  monkeypatch.setattr(run_directory.os, 'replace', fail)
  with pytest.raises(OSError, match='No space left'):
    report.write_report(built, tmp_path)
  assert (tmp_path / 'report.json').read_bytes() == before
  assert not list(tmp_path.rglob('.*'))


def test_names_are_escaped(tmp_path):
  root = synthetic_run.write(tmp_path / 'run')
  (root / 'command.txt').write_text('<script>alert("&")</script>')
  page = _parse(report.build_report(root, _CONFIG).html)
  assert all(tag != 'script' for tag, _ in page.elements)
  assert '<script>alert("&")</script>' in _text(page)


def test_a_worthless_teacher_is_an_error(tmp_path):
  root = synthetic_run.write(tmp_path / 'run')
  synthetic_run.write_json(
      root / 'teacher' / 'bundle' / 'bundle.json',
      {'score': {'mean_return': -20.9}},
  )
  with pytest.raises(ValueError, match='is not above random play'):
    report.build_report(root, _CONFIG)


@pytest.mark.parametrize(
    'values, message',
    (
        ({'bootstrap_resamples': 0}, 'bootstrap_resamples must be at least 1'),
        ({'film_seconds': 0.0}, 'film_seconds must be positive, got 0.0'),
    ),
)
def test_bad_settings_are_refused(values, message):
  with pytest.raises(ValueError, match=message):
    config_lib.ReportConfig(**values)
