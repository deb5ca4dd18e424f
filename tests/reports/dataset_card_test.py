"""Tests of the dataset's card: what it says and what its pictures show."""

import io
import pathlib

import numpy as np
from PIL import Image
import pytest

from rrl_pipeline import types
from rrl_pipeline.beam_jobs import build_rlds
from rrl_pipeline.logs import recording
from rrl_pipeline.reports import dataset_card
from rrl_pipeline.reports import dataset_figures
from rrl_pipeline.rlds import dataset_files
from rrl_pipeline.rlds import statistics
from rrl_pipeline.rlds import statistics_file
from rrl_pipeline.testing import replay_logs
from rrl_pipeline.testing import small_datasets


def _statistics(dataset):
  return statistics_file.finish(
      statistics.merge(
          statistics.summarise(episode, dataset.fields, shard, position)
          for shard in dataset.shards
          for position, episode in enumerate(dataset.episodes(shard))
      ),
      dataset,
  )


@pytest.fixture(name='dataset', scope='module')
def fixture_dataset(tmp_path_factory):
  dataset = small_datasets.convert(
      tmp_path_factory.mktemp('dataset'), small_datasets.episodes()
  )
  dataset_card.write(dataset, _statistics(dataset))
  return dataset


@pytest.fixture(name='text', scope='module')
def fixture_text(dataset):
  with open(f'{dataset.path}/card/README.md', encoding='utf-8') as file:
    return file.read()


def test_tells_what_the_dataset_holds(text):
  assert text.startswith('# atari_replay/Pong_run_1/1.1.0\n')
  for line in (
      '| episodes | 5 |',
      '| RLDS steps | 33 |',
      '| transitions | 28 |',
      '| files | 2 of format tfrecord |',
      '| ends of episodes | 1 log\\_end, 3 terminal, 1 truncated |',
      '| licence | not given |',
      '| `steps/observation` | uint8 | 84 × 84 × 1 | png | '
      'Frame before the action. |',
  ):
    assert f'\n{line}\n' in text


def test_tells_where_the_data_come_from(text, dataset):
  for shard in dataset.conversion['shards']:
    assert shard['sha256'] in text
  for files in dataset.conversion['sources'].values():
    for file in files:
      assert f'`{file["name"]}` | {file["size"]:,} | `{file["crc32"]:08x}`' in (
          text
      )


def test_tells_the_known_limits(text):
  limits = text[text.index('## Known limits') : text.index('## Citation')]
  assert 'All rewards are -1, 0 or 1' in limits
  assert '3 of 5 episodes end in a terminal observation that' in limits
  assert '2 of 5 episodes were cut before the observation' in limits
  assert 'The observation after the last action of an episode was never' in (
      limits
  )
  assert 'repeat the contents' not in limits
  assert 'lack their first steps' not in limits


def test_names_what_the_format_of_the_log_loses(dataset, monkeypatch):
  conversion = {**dataset.conversion, 'losses': ['No <b>ends</b> are marked.']}
  metadata = {'conversion': conversion, 'teacher': {'sha256': 'abc'}}
  monkeypatch.setattr(
      dataset_files.Dataset, 'metadata', property(lambda _: metadata)
  )
  text = dataset_card._render(dataset, _statistics(dataset))['README.md']
  assert rb'* No \<b\>ends\</b\> are marked.' in text
  assert b'Metadata `teacher`' in text and b'"sha256": "abc"' in text


def _render_with(dataset, monkeypatch, **changes):
  conversion = {**dataset.conversion, **changes}
  monkeypatch.setattr(
      dataset_files.Dataset, 'metadata',
      property(lambda _: {'conversion': conversion}),
  )
  return dataset_card._render(dataset, _statistics(dataset))['README.md']


def test_rewards_that_are_known_to_be_raw_are_not_called_clipped(
    dataset, monkeypatch
):
  text = _render_with(
      dataset, monkeypatch, log={'rewards': recording.RAW_REWARDS}
  )
  assert b'All rewards are -1, 0 or 1' not in text


def test_not_every_file_of_a_recording_is_listed(dataset, monkeypatch):
  files = [
      {'name': f'episode-{i:03}', 'size': i, 'crc32': i} for i in range(1_000)
  ]
  text = _render_with(dataset, monkeypatch, sources={'0': files})
  assert text.count(b'| `episode-') == 300
  assert b'`metadata.json` lists 700 more.' in text


def test_tells_what_a_derived_dataset_was_made_from(dataset, monkeypatch):
  """Metadata as a job leaves it that makes a dataset from another one."""
  derived = {
      'job': 'annotate_teacher',
      'options': {'batch_size': 32},
      'sources': {'dataset': 'atari_replay/Pong_run_1', 'files': {'a': 1}},
      'totals': {'episodes': 5},
      'shards': [{'shard': 'new-shard', 'file_bytes': 9, 'sha256': 'abcd'}],
      'losses': [],
      'source': {'path': 'DATA/old', 'conversion': dataset.conversion},
  }
  monkeypatch.setattr(
      dataset_files.Dataset, 'metadata',
      property(lambda _: {'conversion': derived}),
  )
  text = dataset_card._render(dataset, _statistics(dataset))['README.md']
  text = text.decode()
  assert 'by the job `annotate_teacher` of rrl_pipeline from the dataset' in text
  assert '`DATA/old`, with the options\n\n```json\n{\n  "batch_size": 32' in text
  assert 'That one was converted by `beam_jobs/build_rlds.py`' in text
  assert '| `new-shard` | 9 | `abcd` |' in text
  assert '| 0 | `$store$_observation_ckpt.0.gz` |' in text


def test_page_shows_the_same(text, dataset):
  with open(f'{dataset.path}/card/index.html', encoding='utf-8') as file:
    page = file.read()
  assert page.startswith('<!DOCTYPE html>')
  assert '<td>RLDS steps</td>\n<td>33</td>' in page
  for name in ('frames.png', 'best.gif', 'progress.png', 'rewards.png'):
    assert f'src="{name}"' in page
    assert f'({name})' in text
    with open(f'{dataset.path}/card/{name}', 'rb') as file:
      Image.open(file).verify()


def test_film_shows_every_logged_frame(dataset):
  episode = dataset.episode(*dataset.locate('train', 2))
  film = Image.open(io.BytesIO(dataset_card.film_of(dataset, 'train', 2)))
  assert film.n_frames == episode.logged_frames == 9
  for number, frame in enumerate(episode.frames()[:-1]):
    film.seek(number)
    np.testing.assert_array_equal(film.convert('L'), frame[..., 0])


def test_long_film_is_thinned_across_blocks(tmp_path, monkeypatch):
  monkeypatch.setattr(dataset_card, '_MAX_FILM_FRAMES', 200)
  episode = replay_logs.random_episode(
      np.random.default_rng(0), 500, end=types.EpisodeEnd.LOG_END
  )
  # Nothing of it may look like the next, or GIF would join the two.
  episode.observations[..., 1] = np.arange(500)[:, None] % 251
  log = tmp_path / 'log'
  replay_logs.write_log(str(log), [episode], capacity=600)
  summary = build_rlds.convert(
      build_rlds.BuildRldsConfig(str(log), str(tmp_path / 'data'))
  )
  dataset = dataset_files.Dataset(summary.path)
  film = Image.open(io.BytesIO(dataset_card.film_of(dataset, 'train', 0)))
  assert film.n_frames == 167  # Every third one.
  for number in (0, 86, 166):
    film.seek(number)
    np.testing.assert_array_equal(
        film.convert('L'), episode.observations[3 * number]
    )


def test_same_dataset_gives_same_bytes(dataset):
  value = _statistics(dataset)
  assert dataset_card._render(dataset, value) == (
      dataset_card._render(dataset, value)
  )


def test_older_card_is_replaced(dataset):
  stale = pathlib.Path(dataset.path, 'card', 'stale.png')
  stale.touch()
  dataset_card.write(dataset, _statistics(dataset))
  assert not stale.exists()
  assert stale.with_name('best.gif').exists()


def test_contact_sheet_places_frames_in_rows():
  frames = [np.full((4, 5), value, np.uint8) for value in range(8)]
  sheet = np.asarray(
      Image.open(io.BytesIO(dataset_figures.contact_sheet(frames)))
  )
  assert sheet.shape == (4 + 2 + 4, 6 * 7 - 2)
  np.testing.assert_array_equal(sheet[:4, 7:12], frames[1])
  np.testing.assert_array_equal(sheet[6:, 7:12], frames[7])
  assert (sheet[6:, 14:] == 255).all()
