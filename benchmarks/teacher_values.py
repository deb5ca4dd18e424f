"""Learner steps per second with stored teacher values and with a live teacher.

    python benchmarks/teacher_values.py [--steps=100]

An offline learner step draws 32 transitions from a frame store and distils the
teacher's values at them. The values are stored beside the frames, as
beam_jobs/annotate_teacher.py leaves them, or the teacher is asked for them
within the step, as in the code of the paper. The learners take turns step by
step on the same draws, so that whatever else the machine does meets all alike.
The teacher is a network of the student's size, which the paper has, and the
small one that comes with this package.
"""

import time
from typing import Callable

from absl import app
from absl import flags
from acme import types
import clocks
import numpy as np
import untrained_teacher

from rrl_pipeline.agents import builder
from rrl_pipeline.agents import methods
from rrl_pipeline.networks import config as network_config
from rrl_pipeline.replay import frame_store
from rrl_pipeline.replay import stacks
from rrl_pipeline.teachers import bundle

# After rrl_pipeline, which chooses TensorFlow's kernels.
import tensorflow as tf

_STEPS = flags.DEFINE_integer('steps', 100, 'Learner steps of each way.')
_ACTIONS, _SHAPE, _ROWS = 6, (84, 84, 4), 20_000
_ANNOTATION_BATCH = 64

Values = Callable[[np.ndarray], tf.Tensor]


def _store() -> frame_store.FrameStore:
  """Episodes of 1000 random frames."""
  generator = np.random.default_rng(0)
  store = frame_store.FrameStore(_ROWS, _SHAPE[:2], _ACTIONS, _SHAPE[2])
  count = 1_000
  last = np.arange(count) == count - 1
  for _ in range(_ROWS // count):
    store.extend(
        frame_store.Rows(
            observation=generator.integers(
                0, 256, (count, *_SHAPE[:2]), np.uint8
            ),
            action=generator.integers(0, _ACTIONS, count, np.int32),
            reward=np.zeros(count, np.float32),
            is_first=np.arange(count) == 0,
            is_last=last,
            is_terminal=last,
            is_padded=np.ones(count, bool),
            teacher_values=generator.normal(size=(count, _ACTIONS)).astype(
                np.float32
            ),
        )
    )
  return store


def _teachers() -> dict[str, Values]:
  config = network_config.NatureConfig()
  nature_teacher = untrained_teacher.make(config, _SHAPE, _ACTIONS)
  return {
      'Nature network': nature_teacher.values,
      'pong_dqn': bundle.read(bundle.find('pong_dqn')).load().values,
  }


class _Contestant:
  """A learner that draws the same batches as the others."""

  def __init__(self, store: frame_store.FrameStore, values: Values | None):
    self._store = store
    self._values = values
    self._agent = methods.METHODS['qdagger'].agent
    self._learner = builder.make_learner(
        network_config.NatureConfig(), self._agent, _SHAPE, 'uint8', _ACTIONS,
        0,
    )
    self._index = 0

  def step(self) -> None:
    transitions = self._store.sample(
        self._agent.batch_size, self._agent.n_step, self._agent.discount, 0,
        self._index,
    )
    self._index += 1
    if self._values is not None:
      transitions = transitions._replace(extras=self._ask(transitions))
    self._learner.step(
        transitions, self._agent.distillation_weight, self._agent.learning_rate
    ).loss.numpy()

  def _ask(self, transitions: types.Transition) -> np.ndarray:
    return self._values(stacks.contiguous(transitions.observation)).numpy()


def _states_per_second(values: Values) -> float:
  """How fast an annotation asks the teacher, with all cores."""
  batch = np.zeros((_ANNOTATION_BATCH, *_SHAPE), np.uint8)
  seconds = [_seconds(lambda: values(batch).numpy()) for _ in range(30)]
  return _ANNOTATION_BATCH / float(np.median(seconds))


def _seconds(function: Callable[[], object]) -> float:
  start = time.perf_counter()
  function()
  return time.perf_counter() - start


def main(argv):
  del argv
  store = _store()
  teachers = _teachers()
  contestants = {
      'values stored': _Contestant(store, None),
      **{
          f'teacher asked: {name}': _Contestant(store, values)
          for name, values in teachers.items()
      },
  }
  times = clocks.take_turns(
      {name: contestant.step for name, contestant in contestants.items()},
      _STEPS.value,
  )
  medians = {name: time.wall for name, time in times.items()}
  stored = medians['values stored']
  print(f'{_STEPS.value} learner steps of each, batch 32, medians')
  for name, median in medians.items():
    print(
        f'{name:32}{median * 1e3:7.1f} ms{1 / median:7.1f} steps/s   '
        f'stored is {median / stored:.2f} × as fast'
    )
  for name, values in teachers.items():
    print(
        f'annotating, {name:20}{_states_per_second(values):7.0f} states/s, once'
    )


if __name__ == '__main__':
  app.run(main)
