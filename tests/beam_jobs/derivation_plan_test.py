"""Tests of dividing the episodes of a source into shards."""

import dataclasses

import hypothesis
from hypothesis import strategies as st
import pytest

from rrl_pipeline.beam_jobs import derivation_plan
from rrl_pipeline.beam_jobs import source_dataset


def _episodes(lengths, split='train', shard='shard'):
  return [
      source_dataset.Episode(
          split=split, shard=f'{shard}-{i // 3}', position=i % 3,
          num_steps=length, num_transitions=length - 1, num_bytes=10 * length,
          episode_return=0.0, checkpoint_id=0, end_kind='terminal',
          last_reward=0.0,
          step_rewards=0.0, max_action=0,
      )
      for i, length in enumerate(lengths)
  ]


_LENGTHS = st.lists(st.integers(1, 1000), min_size=1, max_size=20)


@hypothesis.given(first=_LENGTHS, second=_LENGTHS, data=st.data())
def test_a_division_is_complete_ordered_and_about_equal(first, second, data):
  episodes = _episodes(first, 'a') + _episodes(second, 'b')
  num_shards = data.draw(st.integers(2, len(episodes)))
  groups = derivation_plan.divide(episodes, num_shards)
  assert len(groups) == num_shards
  assert [e for group in groups for e in group] == episodes
  for group in groups:
    assert group and len({e.split for e in group}) == 1
  for split, lengths in (('a', first), ('b', second)):
    sizes = [
        sum(e.num_steps for e in group)
        for group in groups
        if group[0].split == split
    ]
    # A cut is at most one episode away from where it should be.
    if max(lengths) * len(sizes) < sum(lengths):
      assert max(sizes) <= sum(lengths) / len(sizes) + 2 * max(lengths)


def test_half_a_million_steps_make_a_shard():
  episodes = _episodes([27_000] * 40)
  assert len(derivation_plan.divide(episodes, None)) == 3
  assert len(derivation_plan.divide(episodes[:18], None)) == 1


def test_shards_of_the_source_are_kept():
  episodes = _episodes([1] * 7)
  groups = derivation_plan.keep_shards(episodes)
  assert [len(group) for group in groups] == [3, 3, 1]
  assert [e for group in groups for e in group] == episodes


@pytest.mark.parametrize('num_shards', [1, 6])
def test_a_number_of_shards_that_cannot_be_made_is_refused(num_shards):
  episodes = _episodes([1, 2], 'a') + _episodes([1, 2, 3], 'b')
  with pytest.raises(
      ValueError, match=r'at least 2 \(the splits\) and at most 5 \(the epi'
  ):
    derivation_plan.divide(episodes, num_shards)


def test_units_say_where_their_episodes_are():
  episodes = _episodes([5, 6, 7, 8], 'a') + _episodes([9], 'b', 'other')
  groups = [episodes[:2], episodes[2:4], episodes[4:]]
  units = derivation_plan.make_units(groups, 'name', 'array_record', 'job')
  assert [unit.shard for unit in units] == [
      'name-a.array_record-00000-of-00002',
      'name-a.array_record-00001-of-00002',
      'name-b.array_record-00000-of-00001',
  ]
  assert [unit.index for unit in units] == [0, 1, 2]
  assert [unit.num_steps for unit in units] == [11, 15, 9]
  assert [unit.num_bytes for unit in units] == [110, 150, 90]
  assert [
      [(part.shard, part.positions) for part in unit.parts] for unit in units
  ] == [
      [('shard-0', (0, 1))],
      [('shard-0', (2,)), ('shard-1', (0,))],
      [('other-0', (0,))],
  ]
  assert len({unit.fingerprint for unit in units}) == 3
  again = derivation_plan.make_units(groups, 'name', 'array_record', 'other')
  assert not {u.fingerprint for u in again} & {u.fingerprint for u in units}


def test_checkpoints_are_slices_where_their_episodes_are_side_by_side():
  episodes = [
      dataclasses.replace(episode, checkpoint_id=checkpoint)
      for episode, checkpoint in zip(_episodes([5] * 6), (0, 0, 1, 2, 2, 1))
  ]
  slices = derivation_plan.checkpoint_slices(episodes)
  assert slices == {
      '0': {
          'first': 0, 'episodes': 2, 'transitions': 8, 'split': 'train[0:2]'
      },
      '2': {
          'first': 3, 'episodes': 2, 'transitions': 8, 'split': 'train[3:5]'
      },
  }
  unknown = dataclasses.replace(episodes[0], checkpoint_id=None)
  assert not derivation_plan.checkpoint_slices([unknown])
