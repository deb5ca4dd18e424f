"""Registers the dataset: `tfds.load('minatar_replay/Breakout_run_1')`."""

from .minatar_replay_dataset_builder import Builder
