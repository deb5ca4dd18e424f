"""The settings of a whole run, composed of those of its components."""

import dataclasses
import os
import re
from typing import Union

from rrl_pipeline import run_directory
from rrl_pipeline import settings
from rrl_pipeline.agents import config as agent_config
from rrl_pipeline.agents import methods
from rrl_pipeline.environments import atari
from rrl_pipeline.environments import config as environment_config
from rrl_pipeline.networks import config as network_config
from rrl_pipeline.reports import config as report_config
from rrl_pipeline.training import config as training_config


@dataclasses.dataclass(frozen=True)
class LogsConfig:
  """Which replay logs become the dataset.

  Attributes:
    path: directory with the replay logs of one agent, in a layout that Dopamine
      writes; '' for those of this run's collect stage.
    checkpoints: 'latest', 'all', or numbers with commas between them.
  """

  path: str = ''
  checkpoints: str = 'latest'

  def __post_init__(self):
    if not re.fullmatch(r'latest|all|\d+(,\d+)*', self.checkpoints):
      raise ValueError(
          "checkpoints must be 'latest', 'all' or numbers such as '0,2', got"
          f' {self.checkpoints!r}'
      )


@dataclasses.dataclass(frozen=True)
class DatasetConfig:
  """Which dataset the offline stage learns from.

  Attributes:
    path: version folder of a dataset that exists, such as
      DATA_DIR/atari_replay/Pong_run_1/1.0.0; '' to convert the logs into one.
    run: number of the dataset, the 1 of 'atari_replay/Pong_run_1'; several
      teachers of one game are told apart by it.
    mix: version folders of further datasets of the same game; each batch is
      drawn from all of them by `offline.mixing_weights`.
    card: whether a dataset that is converted gets its statistics and its card.
      That takes a few seconds, and some fifteen for a million steps.
  """

  path: str = ''
  run: int = 1
  mix: tuple[str, ...] = ()
  card: bool = True

  def __post_init__(self):
    if self.run < 1:
      raise ValueError(f'run must be at least 1, got {self.run}')


@dataclasses.dataclass(frozen=True)
class PipelineConfig:
  """All settings of a run.

  Attributes:
    seed: of everything random; each stage derives its own from it.
    environment: what is played.
    network: of the student and of the control.
    teacher: where the teacher comes from.
    collect: what it plays, if there are no logs.
    logs: which logs are converted.
    dataset: which dataset they become, or which one is there already.
    agent: the student's method, in both of its stages.
    tabula_rasa: the control, which learns online from nothing.
    control: whether the control is trained at all.
    offline: how long the student learns from the dataset.
    online: how long student and control learn online.
    evaluation: how agents are evaluated.
    report: what the report covers.
  """

  seed: int = 0
  environment: environment_config.EnvironmentConfig = atari.AtariConfig()
  network: network_config.NetworkConfig = network_config.NatureConfig()
  teacher: training_config.TeacherConfig = training_config.TeacherConfig()
  collect: training_config.CollectConfig = training_config.CollectConfig()
  logs: LogsConfig = LogsConfig()
  dataset: DatasetConfig = DatasetConfig()
  agent: agent_config.AgentConfig = methods.METHODS['qdagger'].agent
  tabula_rasa: agent_config.AgentConfig = methods.METHODS['tabula_rasa'].agent
  control: bool = True
  offline: training_config.OfflineConfig = training_config.OfflineConfig()
  online: training_config.OnlineConfig = training_config.OnlineConfig()
  evaluation: training_config.EvaluationConfig = (
      training_config.EvaluationConfig()
  )
  report: report_config.ReportConfig = report_config.ReportConfig()

  def __post_init__(self):
    if self.seed < 0:
      raise ValueError(f'seed must not be negative, got {self.seed}')
    weights, datasets = self.offline.mixing_weights, 1 + len(self.dataset.mix)
    if weights and len(weights) != datasets:
      raise ValueError(
          f'offline.mixing_weights has {len(weights)} weights, but with'
          f' dataset.mix there are {datasets} datasets; give one for each, the'
          " run's own dataset first"
      )
    if self.logs.path and self.dataset.path:
      raise ValueError(
          f'logs.path is {self.logs.path!r} and dataset.path is'
          f' {self.dataset.path!r}, but logs are only read to make a dataset;'
          ' leave one of them out'
      )


def read(path: Union[str, os.PathLike]) -> PipelineConfig:
  """Reads a config.json.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: it is damaged, or holds other settings than this version has.
  """
  try:
    return settings.from_json_value(
        PipelineConfig, run_directory.read_json(path)
    )
  except ValueError as error:
    raise ValueError(
        f'{path} cannot be used: {error}; go on with the version of'
        ' rrl_pipeline that started the run, or start another'
    ) from error
