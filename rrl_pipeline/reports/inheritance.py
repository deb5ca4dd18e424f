"""What a student has of its teacher, by the settings of its run."""

from typing import Any, Mapping

# Agarwal et al. (2022) call all of these reincarnation.
_FROM_SCRATCH = 'the agent trained from scratch'


def student(configuration: Mapping[str, Any]) -> str:
  """Names the student of a run by its most telling inheritance.

  Args:
    configuration: the run's config.json; what it does not hold is taken to be
      as in QDagger.
  """
  agent = configuration.get('agent', {})
  if agent.get('initial_network') == 'teacher':
    return "the student that goes on with its teacher's network"
  if distils(configuration):
    if not agent.get('td_weight', 1):
      return 'the student that only imitates its teacher'
    return 'the reincarnated student'
  if agent.get('margin_weight'):
    return "the student that learns its teacher's choices by a margin"
  if agent.get('roll_in', {}).get('horizon'):
    return 'the student whose episodes its teacher begins'
  if _learns_offline(configuration):
    return "the student pre-trained on its teacher's data"
  if _replays_data(agent):
    return "the student that learns from its teacher's data, too,"
  return _FROM_SCRATCH


def is_from_scratch(configuration: Mapping[str, Any]) -> bool:
  """Whether the student has nothing of its teacher, as a control has."""
  return student(configuration) == _FROM_SCRATCH


def is_guided(configuration: Mapping[str, Any]) -> bool:
  """Whether a term of the student's loss asks for the teacher's values."""
  agent = configuration.get('agent', {})
  return distils(configuration) or bool(agent.get('margin_weight'))


def distils(configuration: Mapping[str, Any]) -> bool:
  """Whether one of them, weighed by λ, distils them into the student."""
  return bool(configuration.get('agent', {}).get('distillation_weight', 1))


def is_weaned_by_method(configuration: Mapping[str, Any]) -> bool:
  """Whether the method lets the teacher's influence end at all."""
  weaning = configuration.get('agent', {}).get('weaning', {})
  never = {'schedule': 'constant', 'steps': None}
  return {name: weaning.get(name, '') for name in never} != never


def _learns_offline(configuration: Mapping[str, Any]) -> bool:
  return bool(configuration.get('offline', {}).get('num_learner_steps', 1))


def _replays_data(agent: Mapping[str, Any]) -> bool:
  return bool(
      agent.get('rehearsal', {}).get('ratio')
      or agent.get('switch', {}).get('replay') == 'logs'
  )
