"""What the online training of one agent begins with."""

import dataclasses
import pathlib
from typing import Optional

from rrl_pipeline.agents import config as agent_config_lib
from rrl_pipeline.agents import learning
from rrl_pipeline.environments import config as environment_config_lib
from rrl_pipeline.teachers import bundle
from rrl_pipeline.training import config as config_lib
from rrl_pipeline.training import guidance as guidance_lib
from rrl_pipeline.training import teacher_data


@dataclasses.dataclass(frozen=True)
class OnlineSetup:
  """One agent, and on what, how and with what it is trained.

  Attributes:
    directory: of this agent's records and checkpoints.
    agent: its name in the records.
    environment_config: the environment.
    agent_config: how it learns and acts.
    config: for how long.
    learner: its networks, as they are when the online stage begins.
    seed: of the run.
    guidance: the teacher; needed where agent_config asks for one.
    data: of the teacher; likewise.
    lineage: the bundle that it has learned or will learn from, if any.
  """

  directory: pathlib.Path
  agent: str
  environment_config: environment_config_lib.EnvironmentConfig
  agent_config: agent_config_lib.AgentConfig
  config: config_lib.OnlineConfig
  learner: learning.Learner
  seed: int
  guidance: Optional[guidance_lib.Guidance] = None
  data: teacher_data.TeacherData = teacher_data.TeacherData()
  lineage: Optional[bundle.Description] = None

  def __post_init__(self):
    agent = self.agent_config
    if agent.needs_teacher and self.guidance is None:
      raise ValueError(
          f'The method of agent {self.agent!r} needs a teacher, but has none:'
          f' distillation_weight is {agent.distillation_weight:g},'
          f' margin_weight {agent.margin_weight:g}, roll_in.horizon'
          f' {agent.roll_in.horizon}, weaning.schedule'
          f' {agent.weaning.schedule!r}.'
      )
