"""Registers the dataset: `tfds.load('atari_replay/Pong_run_1')` finds it."""

from .atari_replay_dataset_builder import Builder
