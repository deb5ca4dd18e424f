"""From what was recorded to a dataset: every frame, the last ones included."""

import dataclasses

import numpy as np
import pytest
import tensorflow_datasets as tfds

from rrl_pipeline import types
from rrl_pipeline.beam_jobs import build_rlds
from rrl_pipeline.environments import atari
from rrl_pipeline.environments import recording as recording_environment
from rrl_pipeline.logs import reader
from rrl_pipeline.logs import recorder
from rrl_pipeline.logs import recording
from rrl_pipeline.rlds import schema

_ENVIRONMENT = atari.AtariConfig(max_episode_steps=40)


@pytest.fixture(scope='module', name='recorded')
def fixture_recorded(tmp_path_factory):
  """Two actors record: two episodes each, cut by the time limit."""
  directory = tmp_path_factory.mktemp('recording')
  for actor in range(2):
    environment = atari.AtariEnvironment(_ENVIRONMENT, seed=actor)
    rng = np.random.default_rng(actor)
    description = recording_environment.describe(
        environment, {'environment': dataclasses.asdict(_ENVIRONMENT)}
    )
    with recorder.RecordingWriter(
        str(directory), description, actor
    ) as writer:
      recorded = recording_environment.RecordingEnvironment(environment, writer)
      for _ in range(2):
        timestep = recorded.reset()
        while not timestep.last():
          timestep = recorded.step(rng.integers(6))
      # One in a terminal state, after 3 steps.
      writer.write(
          recorder.RecordedEpisode(
              rng.integers(0, 256, (4, 84, 84), np.uint8),
              rng.integers(0, 6, 3).astype(np.int32),
              np.array([0, -2.5, 7], np.float32),
              np.array([1, 1, 0], np.float32),
          )
      )
  return directory


def _load(path):
  dataset = tfds.builder_from_directory(path).as_dataset(split='all')
  for episode in dataset:
    steps = next(iter(episode.pop(schema.STEPS).batch(30_000)))
    yield (
        {name: value.numpy() for name, value in episode.items()},
        {name: value.numpy() for name, value in steps.items()},
    )


def test_a_recording_becomes_a_dataset(recorded, tmp_path):
  summary = build_rlds.convert(
      build_rlds.BuildRldsConfig(
          str(recorded), str(tmp_path), checkpoints='all'
      )
  )
  assert (summary.episodes, summary.transitions) == (6, 2 * (40 + 40 + 3))
  # Each has a step more than actions, whether it ended or was cut.
  assert summary.steps == summary.transitions + 6
  log_reader = recording.RecordingReader(
      recording.RecordingConfig(str(recorded))
  )
  expected = {
      (stream.span.checkpoint_id, stream.span.episode_id): (
          stream.span,
          np.concatenate(list(stream.frames)),
          stream.actions,
          stream.rewards,
      )
      for stream in log_reader.read(log_reader.index().spans)
  }
  for episode, steps in _load(summary.path):
    span, frames, actions, rewards = expected.pop(
        (int(episode[schema.CHECKPOINT_ID]), int(episode[schema.EPISODE_ID]))
    )
    terminal = span.end is types.EpisodeEnd.TERMINAL
    np.testing.assert_array_equal(steps[schema.OBSERVATION][..., 0], frames)
    np.testing.assert_array_equal(steps[schema.ACTION], [*actions, 0])
    np.testing.assert_array_equal(steps[schema.REWARD], [*rewards, 0])
    assert steps[schema.IS_TERMINAL][-1] == terminal
    assert not episode[schema.LAST_OBSERVATION_SYNTHETIC]
    assert episode[schema.DROPPED_FINAL_ACTION] == schema.NO_ACTION
    assert episode[schema.FIRST_ADD_INDEX] == span.first_add
    assert steps[schema.DISCOUNT][-2] == (not terminal)
  assert not expected


def test_a_damaged_recording_is_one_clear_error(recorded, tmp_path):
  directory = tmp_path / 'recording'
  directory.mkdir()
  for path in recorded.glob('[!.]*'):
    (directory / path.name).write_bytes(path.read_bytes())
  damaged = directory / 'episode-001-00000001.npz'
  data = bytearray(damaged.read_bytes())
  data[len(data) // 3] ^= 0xFF
  damaged.write_bytes(data)
  with pytest.raises(reader.LogError, match=f'{damaged} is damaged'):
    build_rlds.convert(
        build_rlds.BuildRldsConfig(
            str(directory), str(tmp_path / 'data'), checkpoints='all'
        )
    )
  damaged.unlink()
  summary = build_rlds.convert(
      build_rlds.BuildRldsConfig(
          str(directory), str(tmp_path / 'data'), checkpoints='all'
      )
  )
  assert (summary.episodes, summary.left_out) == (5, 40)


def test_a_minari_dataset_becomes_a_dataset_and_back(
    recorded, tmp_path, monkeypatch
):
  minari = pytest.importorskip('minari', reason='the extra minari is missing')
  from rrl_pipeline.logs import minari_import
  from rrl_pipeline.rlds import minari_export

  monkeypatch.setenv('MINARI_DATASETS_PATH', str(tmp_path / 'minari'))
  first = build_rlds.convert(
      build_rlds.BuildRldsConfig(str(recorded), str(tmp_path / 'a'))
  )
  minari_export.export_dataset(
      minari_export.ExportConfig(first.path, 'pong/recorded-v0', 6)
  )
  assert minari.load_dataset('pong/recorded-v0').total_steps == 166
  directory = str(tmp_path / 'recording')
  minari_import.import_dataset(
      minari_import.ImportConfig('pong/recorded-v0', directory)
  )
  second = build_rlds.convert(
      build_rlds.BuildRldsConfig(directory, str(tmp_path / 'b'))
  )
  contents = [
      sorted(
          (episode[schema.CONTENT_SHA256], *map(bytes, steps.values()))
          for episode, steps in _load(summary.path)
      )
      for summary in (first, second)
  ]
  assert contents[0] == contents[1]
