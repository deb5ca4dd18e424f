"""Any recording of arrays, through a unit of work, comes back as it was."""

import json
import tempfile

import hypothesis
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
import numpy as np

from rrl_pipeline.beam_jobs import conversion_plan
from rrl_pipeline.beam_jobs import transforms
from rrl_pipeline.beam_jobs import work_directory
from rrl_pipeline.logs import formats
from rrl_pipeline.logs import recorder
from rrl_pipeline.logs import recording_files
from rrl_pipeline.rlds import episode_parsing
from rrl_pipeline.rlds import observations
from rrl_pipeline.rlds import record_files
from rrl_pipeline.rlds import replay_datasets
from rrl_pipeline.rlds import schema
from rrl_pipeline.rlds import stored_episodes
from rrl_pipeline.rlds import validation

_NUM_ACTIONS = 5
_LIMITS = validation.Limits(_NUM_ACTIONS, 1, ends_marked=True, frames=False)


@st.composite
def _recordings(draw):
  """Shape and dtype of observations, and episodes."""
  dtype = draw(st.sampled_from(['float32', 'uint8', 'int16', 'float64']))
  shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, max_side=3))
  # Without their channel, these would be frames.
  hypothesis.assume(dtype != 'uint8' or len(shape) != 3 or shape[-1] != 1)
  hypothesis.assume(not observations.is_frame(shape, dtype))
  episodes = []
  for length in draw(st.lists(st.integers(1, 6), min_size=1, max_size=3)):
    discounts = np.ones(length, np.float32)
    discounts[-1] = draw(st.booleans())
    episodes.append(
        recorder.RecordedEpisode(
            # Floats that are no numbers among them.
            draw(hnp.arrays(dtype, (length + 1, *shape))),
            draw(
                hnp.arrays(
                    np.int32, length, elements=st.integers(0, _NUM_ACTIONS - 1)
                )
            ),
            draw(
                hnp.arrays(
                    np.float32, length, elements=st.floats(-9, 9, width=32)
                )
            ),
            discounts,
            draw(st.dictionaries(st.text(), st.integers())),
        )
    )
  return shape, dtype, episodes


def _convert(directory, shape, dtype, episodes, encoding, file_format):
  """The records of a recording, and the manifest of their shard."""
  description = recording_files.Description(
      recording_files.Array(shape, dtype),
      recording_files.Array((), 'int32'),
      recording_files.Array((), 'float32'),
      {},
  )
  with recorder.RecordingWriter(f'{directory}/log', description) as writer:
    for episode in episodes:
      writer.write(episode)
  work = work_directory.WorkDirectory(f'{directory}/work')
  work.begin({}, {})
  job = transforms.ConversionJob(
      log=formats.LogConfig(f'{directory}/log', formats.RECORDING),
      work_dir=work.root,
      dataset=replay_datasets.ReplayDataset(
          'own_replay',
          'a_run_1',
          observations.ObservationFormat(shape, encoding, dtype),
      ),
      file_format=file_format,
      compressor=None,
      limits=_LIMITS,
  )
  index = formats.open_reader(job.log).index()
  layout = conversion_plan.ShardLayout('own_replay', file_format, False)
  (unit,) = conversion_plan.plan_units(index.spans, 1, layout, '')
  manifest = transforms.convert_unit(job, unit)
  path = work.shard(unit.shard)
  return job, list(record_files.read(path, file_format)), manifest


@hypothesis.settings(max_examples=60)
@hypothesis.given(
    _recordings(),
    st.sampled_from(schema.TENSOR_ENCODINGS),
    st.sampled_from(record_files.FILE_FORMATS),
)
def test_any_recording_comes_back(made, encoding, file_format):
  shape, dtype, episodes = made
  with tempfile.TemporaryDirectory() as directory:
    job, records, manifest = _convert(
        directory, shape, dtype, episodes, encoding, file_format
    )
  finite = [
      episode for episode in episodes
      if np.isfinite(np.asarray(episode.observations, np.float64)).all()
  ]
  # The others break a rule, and only that.
  assert len(manifest['rejected']) == len(episodes) - len(finite)
  for rejected in manifest['rejected']:
    assert list(rejected['reasons']) == ['observations_are_finite']
  assert manifest['episodes'] == len(finite)
  parser = episode_parsing.EpisodeParser(job.dataset.features())
  for record, episode in zip(records, finite, strict=True):
    stored = stored_episodes.StoredEpisode(
        record, 'zlib' if encoding == schema.ZLIB else 'bytes', shape, dtype, ''
    )
    assert stored.frames().tobytes() == np.asarray(
        episode.observations
    ).tobytes()
    assert stored.value(schema.CONTENT_SHA256) == stored.content_sha256(
        stored.frame_blocks()
    )
    metadata = json.loads(stored.value(schema.EPISODE_METADATA))
    assert metadata == dict(episode.metadata)
    rows = parser.rows(record, _NUM_ACTIONS, '')
    assert rows.observation.dtype == dtype
    np.testing.assert_array_equal(rows.observation, episode.observations)
    np.testing.assert_array_equal(rows.action[:-1], episode.actions)
    np.testing.assert_array_equal(rows.reward[:-1], episode.rewards)
    assert rows.is_terminal[-1] == (episode.discounts[-1] == 0)
    assert rows.is_padded.all()
