"""Lets the Balloon Learning Environment 1.0.1 run with today's packages.

Whoever imports `balloon_learning_environment` (BLE) calls `install` first:

  from rrl_pipeline.environments import balloon_compatibility
  balloon_compatibility.install()
  from balloon_learning_environment.env import balloon_env

The release is of 2021. Three things stop it on Python 3.11 with a current
scikit-learn, and each has one function below. Only modules of BLE are changed;
what they import (dataclasses, Flax, scikit-learn) stays as it is.

BLE comes with the extra `balloon`, whose ranges keep out what no small change
could mend: Gym from 0.26 on, which BLE's plug-in breaks; SciPy from 1.14 on,
which lost `interp2d`; TensorFlow Probability for a later TensorFlow; and JAX
from 0.5 on, whose random numbers differ, so that BLE's seeds would mean other
flights.
"""

import functools
import importlib
from importlib import machinery
from importlib import util
import sys
import types

_BLE = 'balloon_learning_environment'


@functools.cache
def install() -> None:
  """Makes BLE importable; calls after the first one do nothing.

  Raises:
    ValueError: BLE is not installed, or is a release that differs.
  """
  try:
    importlib.import_module(_BLE)
  except ModuleNotFoundError as error:
    raise ValueError(
        'the Balloon Learning Environment is not installed: pip install '
        f"'rrl-pipeline[balloon]' ({error})") from error
  _import_balloon()
  _import_vae()
  _give_one_deviation()


def _import_balloon() -> None:
  """Imports the module whose dataclass has quantities with units as defaults.

  Since Python 3.11 a default must be hashable. These classes define `__eq__`
  alone, so they are not, and `BalloonState` cannot be made. They are hashable
  only for as long as the import takes.
  """
  units = importlib.import_module(f'{_BLE}.utils.units')
  quantities = (units.Distance, units.Energy, units.Power)
  for quantity in quantities:
    quantity.__hash__ = object.__hash__
  try:
    importlib.import_module(f'{_BLE}.env.balloon.balloon')
  finally:
    for quantity in quantities:
      quantity.__hash__ = None


class _FrozenFieldShape(machinery.SourceFileLoader):
  """Loads the module with its dataclass `FieldShape` frozen, thus hashable."""

  def get_code(self, fullname: str) -> types.CodeType:
    plain = '@dataclasses.dataclass\nclass FieldShape:'
    source = self.get_source(fullname)
    if source.count(plain) != 1:
      raise ValueError(
          f'{self.path} is not that of the release 1.0.1: pip install '
          "'balloon-learning-environment==1.0.1'")
    frozen = plain.replace('dataclass\n', 'dataclass(frozen=True)\n')
    return compile(source.replace(plain, frozen), self.path, 'exec')


def _import_vae() -> None:
  """Imports the module whose networks have a dataclass as a default.

  It is the same rule of Python 3.11, but here the class that must be hashable
  and the classes that have it as a default are in one module.
  """
  name = f'{_BLE}.generative.vae'
  spec = util.find_spec(name)
  spec.loader = _FrozenFieldShape(name, spec.origin)
  module = util.module_from_spec(spec)
  sys.modules[name] = module
  try:
    spec.loader.exec_module(module)
  except BaseException:
    del sys.modules[name]
    raise
  setattr(importlib.import_module(f'{_BLE}.generative'), 'vae', module)


def _give_one_deviation() -> None:
  """Gives the wind model one standard deviation per point, as it expects.

  Since scikit-learn 1.1 there is one per target, [n, 2] for the two components
  of the wind. The columns are equal: both have the same kernel and noise.
  """
  wind_gp = importlib.import_module(f'{_BLE}.env.wind_gp')
  process = wind_gp.gaussian_process

  class OneDeviation(process.GaussianProcessRegressor):

    # pylint: disable-next=invalid-name
    def predict(self, X, return_std=False, return_cov=False):
      answer = super().predict(X, return_std, return_cov)
      if not return_std:
        return answer
      means, deviations = answer
      return means, deviations.reshape(len(means), -1)[:, 0]

  wind_gp.gaussian_process = types.SimpleNamespace(
      kernels=process.kernels, GaussianProcessRegressor=OneDeviation)
