"""Makes pictures of what an agent saw, for the film of it at play."""

import dataclasses
from typing import Optional

import numpy as np

# Atari runs at 60 emulator frames per second.
_EMULATOR_FPS = 60
# MinAtar has no clock; at this rate one can follow it.
_MINATAR_FPS = 10
# Pixels of a picture for each cell of MinAtar's ten by ten.
_CELL_SIZE = 16
_BACKGROUND = (20, 20, 20)
# One colour for each channel of MinAtar, told apart by colour-blind readers
# too (Okabe and Ito), then shades between them.
_CHANNELS = np.array(
    [
        (86, 180, 233), (230, 159, 0), (0, 158, 115), (240, 228, 66),
        (204, 121, 167), (213, 94, 0), (0, 114, 178), (255, 255, 255),
        (150, 150, 150), (160, 220, 140),
    ],
    np.uint8,
)


@dataclasses.dataclass(frozen=True)
class Film:
  """Pictures and their speed.

  Attributes:
    frames: uint8 [N, H, W] or [N, H, W, 3].
    fps: frames per second of play.
  """

  frames: np.ndarray
  fps: float


def make(
    play: np.ndarray, frame_skip: int, seconds: float
) -> Optional[Film]:
  """Returns the beginning of a recorded play; None if it cannot be shown.

  Args:
    play: [N, ...] observations, one for each step. Pictures are shown as they
      are, MinAtar's channels [N, H, W, C] in a colour each.
    frame_skip: frames of the emulator per step.
    seconds: how much of it.
  """
  if not len(play) or play.dtype != np.uint8 or play.ndim not in (3, 4):
    return None
  is_picture = play.ndim == 3 or play.shape[-1] == 3
  fps = _EMULATOR_FPS / frame_skip if is_picture else _MINATAR_FPS
  frames = np.asarray(play[: max(1, round(seconds * fps))])
  if not is_picture:
    frames = colour_channels(frames)
    frames = frames.repeat(_CELL_SIZE, axis=1).repeat(_CELL_SIZE, axis=2)
  return Film(frames, fps)


def colour_channels(frames: np.ndarray) -> np.ndarray:
  """[N, H, W, C] of 0 and more → [N, H, W, 3]; later channels lie on top."""
  pictures = np.empty((*frames.shape[:-1], 3), np.uint8)
  pictures[...] = _BACKGROUND
  for channel in range(frames.shape[-1]):
    colour = _CHANNELS[channel % len(_CHANNELS)]
    pictures[frames[..., channel] > 0] = colour
  return pictures
