"""A teacher that knows nothing and is asked as any other, for benchmarks."""

import pathlib
import tempfile

from rrl_pipeline.networks import config as network_config
from rrl_pipeline.networks import nature
from rrl_pipeline.teachers import bundle


def make(
    config: network_config.NatureConfig,
    observation_shape: tuple[int, ...],
    num_actions: int,
) -> bundle.BundleTeacher:
  """Exports a network of this build and loads it as the stages do."""
  network = nature.make(config, observation_shape, num_actions, seed=3)
  description = bundle.Description(
      kind='q_values',
      observation_shape=observation_shape,
      action_meanings=('NOOP',) * num_actions,
      environment={},
      score={},
      lineage={},
  )
  with tempfile.TemporaryDirectory() as directory:
    path = pathlib.Path(directory) / 'bundle'
    bundle.export(path, network, description)
    return bundle.read(path).load()
