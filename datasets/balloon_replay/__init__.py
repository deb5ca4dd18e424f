"""Registers the dataset: `tfds.load('balloon_replay/Perciatelli44_run_1')`."""

from .balloon_replay_dataset_builder import Builder
