"""A teacher on disk: a SavedModel, and a JSON file that says what it is.

    saved_model/   a function from observations to values
    bundle.json    what it expects, what it scored, how it was made

A student is exported in the same form, so every student can be a teacher.
"""

import dataclasses
import errno
import functools
import hashlib
import json
import os
import pathlib
import shutil
from typing import Any, Mapping

import numpy as np
import tensorflow as tf

from rrl_pipeline.environments import environment as environment_lib
from rrl_pipeline.networks import graph_function

_FORMAT = 1
_MODEL = 'saved_model'
_DESCRIPTION = 'bundle.json'
_PACKAGED = pathlib.Path(__file__).parent / 'bundles'
_KINDS = ('q_values', 'logits', 'action')


@dataclasses.dataclass(frozen=True)
class Description:
  """What `bundle.json` says of a teacher.

  Attributes:
    kind: meaning of its values: 'q_values', 'logits' or 'action' (one-hot).
    observation_shape: of one stacked observation, such as [H, W, stack].
    action_meanings: name of each action, in the order of the values.
    environment: the environment's configuration, as a JSON object.
    score: mean_return, std_return, num_episodes, epsilon, random_return.
    lineage: how it was made: command, config, actor_steps, learner_steps,
      frames, wall_seconds, cpu_seconds, teacher (the description of its own
      teacher, or null).
    observation_dtype: of one observation.
  """

  kind: str
  observation_shape: tuple[int, ...]
  action_meanings: tuple[str, ...]
  environment: Mapping[str, Any]
  score: Mapping[str, Any]
  lineage: Mapping[str, Any]
  observation_dtype: str = 'uint8'

  def __post_init__(self):
    if self.kind not in _KINDS:
      raise ValueError(f'kind must be one of {_KINDS}, got {self.kind!r}.')


@dataclasses.dataclass(frozen=True)
class Bundle:
  """A bundle on disk, its model not loaded.

  Attributes:
    directory: where it is.
    description: what its `bundle.json` says.
    sha256: of its model, as `bundle.json` says.
  """

  directory: pathlib.Path
  description: Description
  sha256: str

  @property
  def num_actions(self) -> int:
    return len(self.description.action_meanings)

  def check_fits(
      self,
      environment: Mapping[str, Any],
      interface: environment_lib.Interface,
  ) -> None:
    """Checks that the teacher can teach in an environment.

    All that shapes what the teacher sees and does must agree; a different limit
    of episode length or stickiness of actions is the user's choice.

    Args:
      environment: the environment's configuration, as a JSON object.
      interface: what an agent sees and does there.

    Raises:
      ValueError: if not; the message says in what they differ.
    """
    expected = {
        'observation_shape': interface.observation_shape,
        'observation_dtype': interface.observation_dtype.name,
        'action_meanings': interface.action_meanings,
    }
    got = {name: getattr(self.description, name) for name in expected}
    for name, default in (
        ('kind', 'atari'),  # Bundles were of Atari before there were others.
        ('game', None),
        ('frame_skip', None),
    ):
      expected[name] = environment.get(name, default)
      got[name] = self.description.environment.get(name, default)
    for name, value in expected.items():
      if got[name] != value:
        raise ValueError(
            f'The teacher in {self.directory} does not match the environment:'
            f' its {name} is {got[name]!r}, the environment has {value!r}. Give'
            ' a teacher of this environment with --set teacher.bundle=DIR.'
        )

  def load(self) -> 'BundleTeacher':
    """Loads the model.

    Raises:
      ValueError: if it is damaged, or does not answer as a teacher.
    """
    if _hash(self.directory / _MODEL) != self.sha256:
      raise ValueError(
          f'The teacher in {self.directory} is damaged: its {_MODEL} does not'
          f' have the SHA-256 that {_DESCRIPTION} states. Copy the bundle anew.'
      )
    model = tf.saved_model.load(os.fspath(self.directory / _MODEL))
    teacher = BundleTeacher(self.description, model, self.sha256)
    _check_values(teacher, self.directory)
    return teacher


class BundleTeacher:
  """A loaded bundle; a `Teacher`."""

  def __init__(self, description: Description, model: Any, sha256: str):
    self.description = description
    self.kind = description.kind
    self.num_actions = len(description.action_meanings)
    self.sha256 = sha256
    self._model = model

  def values(self, observation: np.ndarray) -> tf.Tensor:
    """[B, …] observations → float32 [B, A]."""
    (values,) = self._graph(observation)
    return values

  @functools.cached_property
  def _graph(self) -> graph_function.GraphFunction:
    shape = (None, *self.description.observation_shape)
    return graph_function.GraphFunction(
        self._model.values.get_concrete_function(
            tf.TensorSpec(shape, self.description.observation_dtype)
        )
    )

  def actions(self, observation: np.ndarray) -> np.ndarray:
    """The greedy actions, int64 [B]."""
    return tf.argmax(self.values(observation), axis=1).numpy()

  def copy_network_to(self, network: tf.keras.Model) -> None:
    """Gives a network of the same build this teacher's weights.

    Raises:
      ValueError: if the bundle holds no network of that build.
    """
    own = getattr(getattr(self._model, '_network', None), 'variables', ())
    builds = [[(v.name, tuple(v.shape)) for v in variables]
              for variables in (own, network.variables)]
    if builds[0] != builds[1]:
      raise ValueError(
          'The network of the teacher to begin with is not built like the one'
          f' to train: it has the variables {builds[0]}, expected {builds[1]}.'
          ' Set teacher.network to what the lineage in its bundle.json says.'
      )
    for variable, value in zip(network.variables, own, strict=True):
      variable.assign(value)


class _Exported(tf.Module):
  """What is written as the SavedModel."""

  def __init__(self, network: tf.keras.Model):
    super().__init__()
    self._network = network
    self.values = tf.function(
        lambda observation: network(observation),  # pylint: disable=unnecessary-lambda
        input_signature=[
            tf.TensorSpec(
                network.input_shape, network.input.dtype, 'observation'
            )
        ],
    )


def export(
    directory: str | os.PathLike,
    network: tf.keras.Model,
    description: Description,
) -> None:
  """Writes a bundle, replacing one that is there; whole or not at all.

  Raises:
    OSError: it could not be written; one that was there is as it was.
  """
  directory = pathlib.Path(directory)
  temporary = directory.with_name(directory.name + '.incomplete')
  shutil.rmtree(temporary, ignore_errors=True)
  temporary.mkdir(parents=True)
  try:
    _write(temporary, network, description)
  except (OSError, tf.errors.ResourceExhaustedError) as error:
    shutil.rmtree(temporary, ignore_errors=True)
    # TensorFlow has its own error for a full disk.
    is_full = isinstance(error, tf.errors.ResourceExhaustedError)
    number = errno.ENOSPC if is_full else error.errno or errno.EIO
    raise OSError(number, os.strerror(number), os.fspath(directory)) from error
  shutil.rmtree(directory, ignore_errors=True)
  os.replace(temporary, directory)


def _write(
    directory: pathlib.Path, network: tf.keras.Model, description: Description
) -> None:
  tf.saved_model.save(_Exported(network), os.fspath(directory / _MODEL))
  content = {
      'format': _FORMAT,
      **dataclasses.asdict(description),
      'sha256': _hash(directory / _MODEL),
  }
  (directory / _DESCRIPTION).write_text(
      json.dumps(content, indent=2, sort_keys=True) + '\n'
  )


def find(name: str) -> pathlib.Path:
  """A folder by its path, or a bundle of this package by its name.

  Raises:
    ValueError: if there is neither.
  """
  for path in (pathlib.Path(name), _PACKAGED / name):
    if path.is_dir():
      return path
  packaged = sorted(path.name for path in _PACKAGED.glob('*') if path.is_dir())
  raise ValueError(
      f'There is no teacher {name!r}: neither a folder of this path nor one of'
      f' the teachers of this package ({", ".join(packaged) or "none"}). Give'
      " the folder of a bundle, or one of those names."
  )


def read(directory: str | os.PathLike) -> Bundle:
  """Reads a bundle without loading its model.

  Raises:
    ValueError: if there is no bundle, or one that this version cannot read.
  """
  directory = pathlib.Path(directory)
  description, sha256 = _read(directory)
  return Bundle(directory, description, sha256)


def read_description(directory: str | os.PathLike) -> Description:
  """What a bundle says of itself; raises as `read` does."""
  return read(directory).description


def load(
    directory: str | os.PathLike,
    environment: Mapping[str, Any],
    interface: environment_lib.Interface,
) -> BundleTeacher:
  """Loads a teacher and checks that it fits an environment.

  Args:
    directory: of the bundle.
    environment: configuration of the environment it shall teach in.
    interface: what an agent sees and does there; see `Bundle.check_fits`.

  Raises:
    ValueError: if the bundle is missing, damaged or does not fit; the message
      says in what.
  """
  found = read(directory)
  found.check_fits(environment, interface)
  return found.load()


def _check_values(teacher: BundleTeacher, directory: pathlib.Path) -> None:
  """Asks the teacher once: a misfit shall not show up hours later."""
  description = teacher.description
  where = f'The model in {directory} does not answer as a teacher'
  # Two, because a model made for single observations would take one.
  observation = np.zeros(
      (2, *description.observation_shape), description.observation_dtype
  )
  asked = f'{description.observation_dtype} {observation.shape}'
  try:
    values = teacher.values(observation)
  except (AttributeError, TypeError, ValueError, tf.errors.OpError) as error:
    raise ValueError(
        f'{where}: its function `values` must take {asked},'
        f' but: {str(error).strip().splitlines()[0]}.'
    ) from error
  expected = (2, teacher.num_actions)
  if values.shape != expected or values.dtype != tf.float32:
    raise ValueError(
        f'{where}: for {asked} it gives {values.dtype.name}'
        f' {tuple(values.shape)}; expected float32 {expected}.'
    )
  if not np.isfinite(values).all():
    raise ValueError(f'{where}: its values are not finite.')


def _read(directory: pathlib.Path) -> tuple[Description, str]:
  path = directory / _DESCRIPTION
  if not path.exists() or not (directory / _MODEL).is_dir():
    raise ValueError(
        f'{directory} is no teacher bundle: expected a folder with {_DESCRIPTION}'
        f' and {_MODEL}/.'
    )
  try:
    content = json.loads(path.read_text())
    if content.pop('format') != _FORMAT:
      raise ValueError(f'format is not {_FORMAT}')
    sha256 = content.pop('sha256')
    content['observation_shape'] = tuple(content['observation_shape'])
    content['action_meanings'] = tuple(content['action_meanings'])
    return Description(**content), sha256
  except (KeyError, TypeError, ValueError) as error:
    raise ValueError(
        f'{path} cannot be read as a teacher bundle of format {_FORMAT}:'
        f' {error}.'
    ) from error


def _hash(model: pathlib.Path) -> str:
  """SHA-256 over the names and contents of the files of a SavedModel."""
  digest = hashlib.sha256()
  for path in sorted(p for p in model.rglob('*') if p.is_file()):
    digest.update(path.relative_to(model).as_posix().encode() + b'\0')
    digest.update(path.read_bytes())
  return digest.hexdigest()
