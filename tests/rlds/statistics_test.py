"""Tests of statistics: against plain NumPy, and in any order of merging."""

import collections
import json
import random

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest
import tensorflow_datasets as tfds

from rrl_pipeline import types
from rrl_pipeline.beam_jobs import build_rlds
from rrl_pipeline.logs import dopamine_writer
from rrl_pipeline.rlds import dataset_files
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import statistics
from rrl_pipeline.rlds import statistics_file
from rrl_pipeline.rlds import stored_episodes
from rrl_pipeline.testing import replay_logs
from rrl_pipeline.testing import small_datasets


@pytest.fixture(name='dataset', scope='module')
def fixture_dataset(tmp_path_factory):
  return small_datasets.convert(
      tmp_path_factory.mktemp('dataset'), small_datasets.episodes()
  )


@pytest.fixture(name='parts', scope='module')
def fixture_parts(dataset):
  """The statistics of each episode."""
  return [
      statistics.summarise(episode, dataset.fields, shard, position)
      for shard in dataset.shards
      for position, episode in enumerate(dataset.episodes(shard))
  ]


@pytest.fixture(name='value', scope='module')
def fixture_value(parts, dataset):
  return statistics_file.finish(statistics.merge(parts), dataset)


@pytest.fixture(name='loaded', scope='module')
def fixture_loaded(dataset):
  """All episodes by TFDS itself: their fields, and their steps as arrays."""
  loaded = []
  for episode in tfds.builder_from_directory(dataset.path).as_dataset(
      split='train'
  ):
    steps = next(iter(episode.pop(schema.STEPS).batch(1000)))
    loaded.append((
        {name: value.numpy() for name, value in episode.items()},
        {name: value.numpy() for name, value in steps.items()},
    ))
  return loaded


def test_counts_equal_those_of_all_records(value, loaded):
  steps = sum(len(s[schema.IS_LAST]) for _, s in loaded)
  assert value['episodes'] == len(loaded) == 5
  assert value['steps'] == steps == 7 + 5 + 10 + 7 + 4
  assert value['transitions'] == steps - 5
  assert value['logged_actions'] == 6 + 5 + 9 + 6 + 4
  assert value['splits']['train']['steps'] == steps
  assert value['ends'] == {'terminal': 3, 'truncated': 1, 'log_end': 1}
  assert value['synthetic_last_observations'] == 3
  assert value['dropped_final_actions'] == 2
  assert value['incomplete_starts'] == 0


def test_statistics_come_back_from_json(parts):
  for part in (*parts, statistics.merge(parts), statistics.Accumulator()):
    text = json.dumps(part.to_json())
    assert statistics.Accumulator.from_json(json.loads(text)) == part


def test_bytes_are_those_that_tfds_was_told(value, dataset):
  assert value['record_bytes'] == dataset.info.splits['train'].num_bytes
  assert value['bytes_per_step'] == value['record_bytes'] / value['steps']


def test_frequencies_equal_those_of_all_records(value, loaded):
  for field, name in ((schema.ACTION, 'actions'), (schema.REWARD, 'rewards')):
    values, counts = np.unique(
        np.concatenate([steps[field][:-1] for _, steps in loaded]),
        return_counts=True,
    )
    assert value[name] == {
        'values': values.tolist(), 'counts': counts.tolist()
    }


def test_distributions_equal_numpy(value, loaded):
  for field, name in (
      (schema.EPISODE_RETURN, 'episode_return'),
      (schema.EPISODE_LENGTH, 'episode_length'),
  ):
    values = np.array([episode[field] for episode, _ in loaded], float)
    found = value[name]
    assert found['mean'] == values.mean()
    assert found['std'] == values.std()
    assert (found['min'], found['max']) == (values.min(), values.max())
    for q, quantile in found['quantiles'].items():
      assert quantile == np.quantile(values, float(q))
    assert sum(found['histogram']['counts']) == 5


def test_ranges_leave_out_what_is_void_or_made_up(value, loaded):
  frames = np.concatenate([
      steps[schema.OBSERVATION][
          : len(steps[schema.IS_LAST])
          - int(episode[schema.LAST_OBSERVATION_SYNTHETIC])
      ]
      for episode, steps in loaded
  ])
  assert frames.min() > 0  # Those made up are zero.
  ranges = value['value_ranges']
  assert ranges['observation'] == [frames.min(), frames.max()]
  actions = np.concatenate([s[schema.ACTION][:-1] for _, s in loaded])
  assert ranges['action'] == [actions.min(), actions.max()]
  assert ranges['discount'] == [0, 1]
  assert sorted(ranges) == ['action', 'discount', 'observation', 'reward']


def test_content_hash_is_the_one_of_the_conversion(parts, loaded):
  assert [part.rows[0].content_sha256 for part in parts] == [
      episode[schema.CONTENT_SHA256].decode() for episode, _ in loaded
  ]


def test_position_leaves_out_what_the_log_cut(value, loaded):
  whole = [
      episode for episode, _ in loaded if episode[schema.END_KIND] != b'log_end'
  ]
  points = value['return_by_position']
  assert [point['position'] for point in points] == [
      episode[schema.FIRST_ADD_INDEX] for episode in whole
  ]
  assert [point['mean'] for point in points] == [
      episode[schema.EPISODE_RETURN] for episode in whole
  ]


def test_examples_are_the_extremes(value, loaded):
  returns = [float(e[schema.EPISODE_RETURN]) for e, _ in loaded[:-1]]
  examples = value['examples']
  assert examples['best']['episode_return'] == max(returns)
  assert examples['worst']['episode_return'] == min(returns)
  assert examples['median']['episode_return'] == sorted(returns)[1]
  for kind in ('best', 'median', 'worst'):
    number = examples[kind]['episode']
    assert examples[kind]['uid'] == loaded[number][0][schema.UID].decode()
  assert [place['episode'] for place in examples['samples']] == [0, 1, 2, 3, 4]


def test_checkpoints_are_slices(tmp_path):
  rng = np.random.default_rng(1)
  log = tmp_path / 'log'
  writer = dopamine_writer.DopamineLogWriter(str(log), (84, 84), 100)
  for number, lengths in enumerate(((3, 4), (5,), (2, 6, 3))):
    for length in lengths:
      replay_logs.add_episode(writer, replay_logs.random_episode(rng, length))
    writer.save(number)
  summary = build_rlds.convert(
      build_rlds.BuildRldsConfig(
          str(log), str(tmp_path / 'data'), checkpoints='all'
      )
  )
  dataset = dataset_files.Dataset(summary.path)
  value = _compute(dataset)
  read = tfds.builder_from_directory(summary.path)
  for part in value['checkpoints']:
    episodes = list(read.as_dataset(split=part['slice']))
    assert len(episodes) == part['episodes']
    assert {int(e[schema.CHECKPOINT_ID]) for e in episodes} == {
        part['checkpoint_id']
    }
    assert part['steps'] == sum(int(e[schema.NUM_STEPS]) for e in episodes)
  assert sum(part['episodes'] for part in value['checkpoints']) == 6


def _compute(dataset):
  return statistics_file.finish(
      statistics.merge(
          statistics.summarise(episode, dataset.fields, shard, position)
          for shard in dataset.shards
          for position, episode in enumerate(dataset.episodes(shard))
      ),
      dataset,
  )


@hypothesis.given(seed=st.integers(0, 2**32), data=st.data())
@hypothesis.settings(max_examples=50)
def test_any_order_and_grouping_gives_the_same(
    parts, dataset, value, seed, data
):
  pool = list(parts)
  random.Random(seed).shuffle(pool)
  # A random tree of merges, with empty accumulators among them.
  while len(pool) > 1:
    size = data.draw(st.integers(2, len(pool)))
    merged = statistics.merge([statistics.Accumulator(), *pool[:size]])
    pool = [*pool[size:], merged]
  assert statistics_file.finish(pool[0], dataset) == value


_ROWS = st.lists(
    st.tuples(
        st.lists(st.integers(0, 5), max_size=8),
        st.lists(
            st.floats(-100, 100, width=32).filter(lambda x: x or x == 0),
            max_size=8,
        ),
        st.tuples(st.floats(-9, 9), st.floats(-9, 9)),
    ),
    max_size=12,
)


@hypothesis.given(rows=_ROWS, cut=st.integers(0, 12), seed=st.integers(0, 99))
def test_merging_equals_counting_all_at_once(rows, cut, seed):
  def part(actions, rewards, limits):
    return statistics.Accumulator(
        actions=statistics.count(np.array(actions, np.int64)),
        rewards=statistics.count(np.array(rewards, np.float64)),
        ranges={'x': (min(limits), max(limits))},
    )

  parts = [part(*row) for row in rows]
  random.Random(seed).shuffle(parts)
  merged = statistics.merge([
      statistics.merge(parts[:cut]), statistics.merge(parts[cut:])
  ])
  assert merged.actions == collections.Counter(
      action for actions, _, _ in rows for action in actions
  )
  assert merged.rewards == collections.Counter(
      reward for _, rewards, _ in rows for reward in rewards
  )
  limits = [limit for _, _, pair in rows for limit in pair]
  assert merged.ranges == ({'x': (min(limits), max(limits))} if rows else {})


def test_merging_leaves_the_parts_as_they_were(parts):
  before = json.dumps([len(part.rows) for part in parts])
  counts = [dict(part.actions) for part in parts]
  statistics.merge(parts)
  assert json.dumps([len(part.rows) for part in parts]) == before
  assert [dict(part.actions) for part in parts] == counts


@pytest.mark.parametrize('lost', (slice(1, None), slice(0, -1)))
def test_lost_episodes_are_noticed(parts, dataset, lost):
  with pytest.raises(
      dataset_files.DatasetError, match='4 of the 5 episodes .* and 0 others'
  ):
    statistics_file.finish(statistics.merge(parts[lost]), dataset)


def test_episodes_that_come_twice_are_noticed(parts, dataset):
  with pytest.raises(
      dataset_files.DatasetError, match='5 of the 5 episodes .* and 1 others'
  ):
    statistics_file.finish(statistics.merge([*parts, parts[0]]), dataset)


def test_reward_that_is_no_number(dataset):
  episode = next(dataset.episodes(dataset.shards[0]))
  episode.rewards[2] = np.nan
  with pytest.raises(
      stored_episodes.EpisodeError,
      match='record 0: the reward of step 2 is nan',
  ):
    statistics.summarise(episode, dataset.fields, dataset.shards[0], 0)


def test_many_different_values_are_counted_in_intervals():
  values = np.random.default_rng(0).normal(size=500)
  found = statistics_file.frequencies(statistics.count(values))
  counts, edges = np.histogram(values, 40)
  assert found == {'edges': edges.tolist(), 'counts': counts.tolist()}


@pytest.mark.parametrize(
    'values, edges, counts',
    (
        ([-2, -2, 1], [-2.5, -1.5, -0.5, 0.5, 1.5], [2, 0, 0, 1]),
        ([7], [6.5, 7.5], [1]),
        ([0, 64], np.linspace(0, 64, 41).tolist(), [1] + 38 * [0] + [1]),
    ),
)
def test_intervals(values, edges, counts):
  found = statistics_file.histogram(np.array(values, float))
  assert found == {'edges': edges, 'counts': counts}


def test_file_reads_back(value, tmp_path):
  (tmp_path / statistics_file.NAME).write_bytes(statistics_file.to_json(value))
  assert statistics_file.read(str(tmp_path)) == value


@pytest.mark.parametrize(
    'text, message',
    (
        (None, 'has no statistics.json; make it with python beam_jobs'),
        ('{', 'is damaged'),
        ('{"format": 0}', 'is of format 0; expected 1'),
    ),
)
def test_file_that_cannot_be_read(text, message, tmp_path):
  if text is not None:
    (tmp_path / statistics_file.NAME).write_text(text)
  with pytest.raises(dataset_files.DatasetError, match=message):
    statistics_file.read(str(tmp_path))


def test_dataset_by_others(tmp_path):
  """The schema of rlu_atari lacks most fields of episodes."""
  rng = np.random.default_rng(0)
  features = tfds.features.FeaturesDict({
      schema.STEPS: tfds.features.Dataset({
          schema.OBSERVATION: tfds.features.Image(
              shape=(84, 84, 1), dtype=np.uint8, encoding_format='png'
          ),
          schema.ACTION: np.int64,
          schema.REWARD: np.float32,
          schema.DISCOUNT: np.float32,
          schema.IS_FIRST: np.bool_,
          schema.IS_LAST: np.bool_,
          schema.IS_TERMINAL: np.bool_,
      }),
  })

  def episode(length, terminal):
    last = np.arange(length) == length - 1
    return {
        schema.STEPS: {
            schema.OBSERVATION: rng.integers(
                0, 256, (length, 84, 84, 1), dtype=np.uint8
            ),
            schema.ACTION: np.arange(length),
            schema.REWARD: np.ones(length, np.float32),
            schema.DISCOUNT: np.ones(length, np.float32),
            schema.IS_FIRST: np.arange(length) == 0,
            schema.IS_LAST: last,
            schema.IS_TERMINAL: last & terminal,
        }
    }

  long = episode(4, True)
  builder = tfds.dataset_builders.store_as_tfds_dataset(
      name='foreign',
      version='1.0.0',
      features=features,
      split_datasets={
          'train': [(0, long), (1, episode(3, False)), (2, long)]
      },
      data_dir=tmp_path,
      disable_shuffling=True,
  )
  dataset = dataset_files.Dataset(builder.data_dir)
  assert dataset.conversion == {}
  value = _compute(dataset)
  assert value['ends'] == {'terminal': 2, 'truncated': 1}
  assert value['synthetic_last_observations'] == 0
  assert value['episode_length']['max'] == 3
  assert value['episode_return']['max'] == 3
  assert len(value['return_by_position']) == 3
  first, last = (f'{dataset.shards[0].name}#{number}' for number in (0, 2))
  assert value['examples']['best']['uid'] == first
  assert value['duplicates'] == {'episodes': 1, 'groups': [[first, last]]}


def test_end_of_an_episode_by_time_limit_counts_its_dropped_reward(tmp_path):
  episode = replay_logs.random_episode(
      np.random.default_rng(2), 4, end=types.EpisodeEnd.TRUNCATED
  )
  episode.rewards[:] = (1, 0, 0, 1)
  dataset = small_datasets.convert(tmp_path, [episode], num_shards=1)
  value = _compute(dataset)
  assert value['episode_return']['max'] == 2
  assert value['rewards'] == {'values': [0, 1], 'counts': [2, 1]}
