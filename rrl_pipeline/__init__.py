"""Reincarnating reinforcement learning: from a teacher's logs to a student."""

import os
import sys
import warnings

# oneDNN's convolutions are about twice as fast as Eigen's in the backward
# pass, but TensorFlow 2.15 switches them on by itself only on processors with
# AVX-512. The variable must be set before TensorFlow is first imported.
if 'tensorflow' in sys.modules and 'TF_ENABLE_ONEDNN_OPTS' not in os.environ:
  warnings.warn(
      'TensorFlow was imported before rrl_pipeline: on processors without'
      ' AVX-512, learning is slower by a third or more. Import rrl_pipeline'
      ' first, or set TF_ENABLE_ONEDNN_OPTS=1.',
      stacklevel=2,
  )
os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '1')
# Without a GPU TensorFlow logs several errors about CUDA at every start; what
# really goes wrong reaches Python as an exception.
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

__version__ = '0.1.0'
