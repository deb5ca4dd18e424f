"""Writes the agents in `cleanrl` with PyTorch, as CleanRL's programs do.

Run it where PyTorch is installed, which is never needed otherwise:

  pip install torch==2.8.0 'numpy<2'
  python write_cleanrl.py

The networks are those of `dqn_atari.py` and `c51_atari.py` with fewer filters
and units, on frames of 44x44, for three actions; what is saved, and how, is as
there. `expected.npz` has what the networks say themselves.
"""

import pathlib

import numpy as np
import torch
from torch import nn

FOLDER = pathlib.Path(__file__).parent / 'cleanrl'
ACTIONS, ATOMS, FRAME = 3, 51, 44


class QNetwork(nn.Module):

  def __init__(self, num_outputs):
    super().__init__()
    self.network = nn.Sequential(
        nn.Conv2d(4, 2, 8, stride=4), nn.ReLU(),
        nn.Conv2d(2, 3, 4, stride=2), nn.ReLU(),
        nn.Conv2d(3, 5, 3, stride=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(20, 4), nn.ReLU(), nn.Linear(4, num_outputs))

  def forward(self, x):
    return self.network(x / 255.0)


class DistributionalNetwork(QNetwork):

  def __init__(self):
    super().__init__(ACTIONS * ATOMS)
    self.register_buffer('atoms', torch.linspace(-10.0, 10.0, steps=ATOMS))

  def forward(self, x):
    logits = super().forward(x).view(-1, ACTIONS, ATOMS)
    return (torch.softmax(logits, dim=2) * self.atoms).sum(2)


def main():
  torch.manual_seed(0)
  FOLDER.mkdir(exist_ok=True)
  observations = np.random.default_rng(0).integers(
      0, 256, (2, FRAME, FRAME, 4), np.uint8)
  inputs = torch.Tensor(observations.transpose(0, 3, 1, 2).astype(np.float32))
  expected = {'observations': observations}
  dqn, c51 = QNetwork(ACTIONS), DistributionalNetwork()
  torch.save(dqn.state_dict(), FOLDER / 'dqn_atari.cleanrl_model')
  arguments = {'env_id': 'FreewayNoFrameskip-v4', 'seed': 1, 'n_atoms': ATOMS,
               'v_min': -10.0, 'v_max': 10.0, 'track': False,
               'wandb_entity': None}
  torch.save({'model_weights': c51.state_dict(), 'args': arguments},
             FOLDER / 'c51_atari.cleanrl_model')
  with torch.no_grad():
    expected['dqn_atari'] = dqn(inputs).numpy()
    expected['c51_atari'] = c51(inputs).numpy()
  np.savez_compressed(FOLDER / 'expected.npz', **expected)


if __name__ == '__main__':
  main()
