"""Tests of choosing episodes: conditions, and samples that can be repeated."""

import dataclasses

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest

from rrl_pipeline.beam_jobs import episode_choice
from rrl_pipeline.beam_jobs import source_dataset

_ENDS = ('terminal', 'truncated', 'log_end')


def _episodes(count):
  """Episode i has 10 + i steps, the return i and the checkpoint i // 4."""
  return [
      source_dataset.Episode(
          split='train',
          shard=f'shard-{i % 3}',
          position=i // 3,
          num_steps=10 + i,
          num_transitions=9 + i,
          num_bytes=100,
          episode_return=float(i),
          checkpoint_id=i // 4,
          end_kind=_ENDS[i % 3],
          last_reward=0.0,
          step_rewards=float(i),
          max_action=0,
      )
      for i in range(count)
  ]


def _chosen(count=20, **options):
  choice = episode_choice.EpisodeChoice(**options)
  return [int(e.episode_return) for e in choice.apply(_episodes(count))]


@pytest.mark.parametrize(
    'options, expected',
    [
        ({}, range(20)),
        ({'min_return': 3.0, 'max_return': 5.0}, [3, 4, 5]),
        ({'checkpoints': '0,3-4'}, [0, 1, 2, 3, *range(12, 20)]),
        ({'end_kinds': 'log_end'}, range(2, 20, 3)),
        ({'end_kinds': 'terminal,log_end', 'max_return': 5.0}, [0, 2, 3, 5]),
        ({'max_steps': 10_000}, range(20)),
    ],
)
def test_conditions_keep_the_order(options, expected):
  assert _chosen(**options) == list(expected)


@hypothesis.given(
    count=st.integers(1, 60),
    fraction=st.floats(0.01, 1),
    smaller=st.floats(0.01, 1),
    seed=st.integers(0, 1000),
)
def test_a_sample_has_its_size_and_holds_smaller_ones(
    count, fraction, smaller, seed
):
  smaller, fraction = sorted((smaller, fraction))
  large = _chosen(count, fraction=fraction, seed=seed)
  small = _chosen(count, fraction=smaller, seed=seed)
  assert len(large) == max(1, round(fraction * count))
  assert len(small) == max(1, round(smaller * count))
  assert set(small) <= set(large) <= set(range(count))
  assert large == sorted(large)
  assert large == _chosen(count, fraction=fraction, seed=seed)


@hypothesis.given(max_steps=st.integers(40, 2_000), seed=st.integers(0, 1000))
def test_a_limit_of_steps_is_kept_and_used(max_steps, seed):
  chosen = _chosen(30, max_steps=max_steps, seed=seed)
  steps = sum(10 + i for i in chosen)
  assert steps <= max_steps
  # No room was left for one more of any length.
  assert len(chosen) == 30 or steps + 39 > max_steps


def test_every_episode_is_drawn_as_often():
  counts = np.zeros(20)
  for seed in range(400):
    counts[_chosen(fraction=0.25, seed=seed)] += 1
  # 100 expected, with a standard deviation of 9.
  assert counts.min() > 60 and counts.max() < 140


def test_samples_of_other_seeds_differ():
  samples = {tuple(_chosen(fraction=0.3, seed=seed)) for seed in range(20)}
  assert len(samples) > 15


def test_the_sample_does_not_depend_on_the_conditions():
  everything = _chosen(fraction=0.5, seed=1)
  first = _chosen(10, fraction=1.0, seed=1)
  assert first == list(range(10))
  order = episode_choice.EpisodeChoice(seed=1)._draw
  ranks = sorted(range(20), key=lambda i: order(_episodes(20)[i]))
  assert sorted(ranks[:10]) == everything


def test_unknown_checkpoints_cannot_be_asked_for():
  episodes = [
      dataclasses.replace(episode, checkpoint_id=None)
      for episode in _episodes(4)
  ]
  assert len(episode_choice.EpisodeChoice().apply(episodes)) == 4
  with pytest.raises(ValueError, match="checkpoints cannot be '0'"):
    episode_choice.EpisodeChoice(checkpoints='0').apply(episodes)


def test_everything_is_recognised():
  assert episode_choice.EpisodeChoice(seed=3).is_everything
  for options in (
      {'fraction': 0.5}, {'max_steps': 9}, {'end_kinds': 'terminal'},
      {'checkpoints': '1'}, {'min_return': 0.0},
  ):
    assert not episode_choice.EpisodeChoice(**options).is_everything
