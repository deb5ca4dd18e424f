"""Writes the agents in `dopamine` with Dopamine's own agents and checkpointer.

Run it where Dopamine is installed, which is never needed otherwise:

  pip install --no-deps dopamine-rl==4.0.9
  pip install 'numpy<2' jax==0.4.23 jaxlib==0.4.23 flax==0.7.5 optax==0.1.7 \
      orbax-checkpoint==0.4.8 tensorflow==2.15.1 \
      tensorflow-probability==0.23.0 gym==0.25.2 gin-config tf-slim \
      opencv-python-headless
  python write_dopamine.py

Each agent has Dopamine's network with fewer filters and units, on frames of
20x20, for three actions. `expected.npz` has what the networks say themselves,
of the weights that are stored.
"""

import pathlib
import shutil
import tempfile
import types

from dopamine.discrete_domains import checkpointer
from dopamine.jax import networks
from dopamine.jax.agents.dqn import dqn_agent
from dopamine.jax.agents.full_rainbow import full_rainbow_agent
from dopamine.jax.agents.implicit_quantile import implicit_quantile_agent
from dopamine.jax.agents.rainbow import rainbow_agent
import gin
import jax
import numpy as np

FOLDER = pathlib.Path(__file__).parent / 'dopamine'
NUMBER = 3
ACTIONS = 3
FRAME = (20, 20)
NUM_QUANTILES = 8
SMALLER = {16: 2, 32: 2, 64: 2, 512: 3}


def make_networks_smaller():
  flax = networks.nn
  smaller = types.SimpleNamespace(
      **{name: getattr(flax, name) for name in dir(flax)}
  )
  for name in ('Conv', 'Dense'):
    layer = getattr(flax, name)
    setattr(smaller, name, lambda features, layer=layer, **options: layer(
        SMALLER.get(features, features), **options))
  networks.nn = smaller
  feature_layer = networks.feature_layer

  def smaller_feature_layer(*arguments, **options):
    layer = feature_layer(*arguments, **options)
    return lambda x, features: layer(x, SMALLER.get(features, features))

  networks.feature_layer = smaller_feature_layer


def make_agents():
  gin.parse_config(f'JaxDQNAgent.observation_shape = {FRAME}')
  for name in ('OutOfGraphReplayBuffer', 'OutOfGraphPrioritizedReplayBuffer'):
    gin.parse_config(f'{name}.replay_capacity = 100')
    gin.parse_config(f'{name}.batch_size = 2')
  seeded = {'num_actions': ACTIONS, 'seed': 1}
  options = {**seeded, 'observation_shape': FRAME}
  return {
      'dqn': dqn_agent.JaxDQNAgent(**options),
      'impala': dqn_agent.JaxDQNAgent(
          network=networks.ImpalaDQNNetwork, **options),
      'rainbow': rainbow_agent.JaxRainbowAgent(**options),
      'full_rainbow': full_rainbow_agent.JaxFullRainbowAgent(**seeded),
      'iqn': implicit_quantile_agent.JaxImplicitQuantileAgent(**options),
  }


def values(name, agent, observation):
  """What the network of an agent says of an observation."""
  key = jax.random.PRNGKey(0)
  options = {
      'rainbow': {'support': getattr(agent, '_support', None)},
      'full_rainbow': {'support': getattr(agent, '_support', None),
                       'eval_mode': True, 'key': key},
      'iqn': {'num_quantiles': NUM_QUANTILES, 'rng': key},
  }
  outputs = agent.network_def.apply(
      agent.online_params, observation, **options.get(name, {}))
  return outputs.quantile_values if name == 'iqn' else outputs.q_values


def main():
  make_networks_smaller()
  rng = np.random.default_rng(0)
  observations = rng.integers(0, 256, (4, *FRAME, 4), np.uint8)
  expected = {'observations': observations}
  for name, agent in make_agents().items():
    # Biases begin as zeros, which would hide that one is missing.
    agent.online_params = jax.tree_util.tree_map(
        lambda x: x + 0.2 * rng.standard_normal(x.shape).astype(np.float32),
        agent.online_params)
    agent.target_network_params = agent.online_params
    agent.training_steps = 1234
    with tempfile.TemporaryDirectory() as directory:
      bundle = agent.bundle_and_checkpoint(directory, NUMBER)
      bundle['current_iteration'] = NUMBER
      bundle['logs'] = {
          'iteration_3': {'train_average_return': [np.float64(-20.5)]}}
      checkpointer.Checkpointer(directory).save_checkpoint(NUMBER, bundle)
      (FOLDER / name).mkdir(parents=True, exist_ok=True)
      shutil.copy(f'{directory}/ckpt.{NUMBER}', FOLDER / name)
    expected[name] = np.stack(
        [values(name, agent, observation) for observation in observations])
    if name == 'iqn':
      expected['quantiles'] = np.asarray(agent.network_def.apply(
          agent.online_params, observations[0], NUM_QUANTILES,
          jax.random.PRNGKey(0)).quantiles)[:, 0]
  np.savez_compressed(FOLDER / 'expected.npz', **expected)


if __name__ == '__main__':
  main()
