"""Makes the network that a configuration describes."""

from rrl_pipeline.networks import config as config_lib
from rrl_pipeline.networks import heads
from rrl_pipeline.networks import impala
from rrl_pipeline.networks import minatar
from rrl_pipeline.networks import mlp
from rrl_pipeline.networks import nature
from rrl_pipeline.networks import value_network

_TORSOS = {
    config_lib.NatureConfig.kind: nature.make_torso,
    config_lib.ImpalaConfig.kind: impala.make_torso,
    config_lib.MlpConfig.kind: mlp.make_torso,
    config_lib.MinatarConfig.kind: minatar.make_torso,
}
_IMAGES_ONLY = ('nature', 'impala', 'minatar')


def make(
    config: config_lib.NetworkConfig,
    head: heads.Head,
    observation_shape: tuple[int, ...],
    observation_dtype: str,
    seed: int,
    dtype_policy: str = 'float32',
) -> value_network.ValueNetwork:
  """A network of this torso and head, initialised from `seed`.

  Args:
    config: the torso.
    head: the head; of one network only.
    observation_shape: without the batch.
    observation_dtype: 'uint8' is rescaled to [0, 1], 'float32' is left as is.
    seed: of all kernels; below 2²⁴, since each layer gets one derived from it.
    dtype_policy: of the layers below the head, such as 'mixed_bfloat16'.

  Raises:
    ValueError: if a network for images shall see something else.
  """
  if config.kind in _IMAGES_ONLY and len(observation_shape) != 3:
    raise ValueError(
        f'The network {config.kind!r} is for images [H, W, C], but an'
        f" observation has the shape {observation_shape}; use network.kind=mlp."
    )
  torso = _TORSOS[config.kind](config, seed, dtype_policy)
  return value_network.ValueNetwork(
      observation_shape, observation_dtype, torso, head
  )
