"""Finds the settings of a run: from a preset, or from the run itself."""

import pathlib
from typing import Optional, Sequence, TYPE_CHECKING

from rrl_pipeline import overrides
from rrl_pipeline import run_directory
from rrl_pipeline import settings
from rrl_pipeline.launch import method_choice
from rrl_pipeline.launch import presets

if TYPE_CHECKING:
  from rrl_pipeline import config as config_lib

# The report may be made again with other settings of its own.
_FREE_SETTINGS = 'report.'


def make(
    preset: Optional[str],
    run_dir: Optional[str],
    changes: Sequence[str],
    seed: Optional[int],
    method: Optional[str] = None,
) -> 'config_lib.PipelineConfig':
  """Returns the settings that a command asks for; writes nothing.

  Args:
    preset: name of the settings to start with; None for those of the run.
    run_dir: directory of the run, if the command names one.
    changes: single settings as 'group.name=value'.
    seed: of the run; None to leave it as it is.
    method: of the student, at the scale of the preset; None for the preset's.

  Raises:
    ValueError: an unknown preset, method or setting, neither a preset nor a
      run, or a method without a preset.
  """
  # Imported here: settings live beside their components, which take seconds to
  # import, and --help shall not wait for them.
  from rrl_pipeline import config as config_lib

  names = ', '.join(presets.PRESETS)
  if preset is not None:
    if preset not in presets.PRESETS:
      raise ValueError(
          f'no preset is called {preset!r}'
          f'{settings.near_misses(preset, presets.PRESETS)}; there are: {names}'
      )
    config = presets.PRESETS[preset].make()
    if method is not None:
      config = method_choice.apply(
          config, method, presets.PRESETS[preset].adapt
      )
  elif method is not None:
    raise ValueError(
        f'--method={method} starts a run, at the scale of a preset; give'
        f' --preset as well (there are: {names})'
    )
  elif run_dir is None:
    raise ValueError(
        f'which run? Give --preset to start one (there are: {names}), or'
        ' --run_dir to go on with one'
    )
  else:
    run = run_directory.RunDirectory(pathlib.Path(run_dir))
    if not run.config.exists():
      raise ValueError(
          f'{run.root} holds no run; give --preset to start one there (there'
          f' are: {names})'
      )
    config = config_lib.read(run.config)
  if seed is not None:
    changes = [*changes, f'seed={seed}']
  return overrides.apply(config, changes)


def settle(
    run: run_directory.RunDirectory,
    config: 'config_lib.PipelineConfig',
    command: str,
) -> None:
  """Writes config.json, or compares the settings with those of the run.

  Args:
    run: the run directory, locked.
    config: the settings that the command asks for.
    command: the command line, recorded when it starts the run.

  Raises:
    ValueError: the run was started with other settings.
  """
  from rrl_pipeline import config as config_lib

  if run.config.exists():
    stored = config_lib.read(run.config)
    differences = settings.describe_differences(
        *(
            {
                name: value
                for name, value in settings.flatten(side).items()
                if not name.startswith(_FREE_SETTINGS)
            }
            for side in (stored, config)
        )
    )
    if differences:
      raise ValueError(
          f'{run.root} was started with other settings: {differences}; leave'
          ' out --preset, --set and --seed to go on with its own, or use'
          ' another --run_dir'
      )
  else:
    run_directory.write_bytes(run.command, f'{command}\n'.encode('utf-8'))
  run_directory.write_json(run.config, settings.to_json_value(config))
