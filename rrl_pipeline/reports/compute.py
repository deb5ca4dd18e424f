"""What a student cost: frames, updates and seconds, its teacher included.

A student that is cheap only because its teacher's bill is left out is no
saving, so that the whole lineage is added up.
"""

from typing import Any, Mapping, Optional, Sequence

from rrl_pipeline import formats
from rrl_pipeline.reports import runs

_COUNTS = ('frames', 'actor_steps', 'learner_steps')
# The other stages neither act for the student nor update it.
_COUNTED = {
    'collect': ('frames', 'actor_steps'),
    'offline': ('learner_steps',),
}
_SECONDS = ('wall_seconds', 'cpu_seconds')
QUANTITIES = _COUNTS + _SECONDS
# What a user of the method pays; the control and the final evaluation are the
# price of showing that it works.
_STUDENT_STAGES = ('collect', 'dataset', 'offline')


def account(run: runs.Run) -> dict[str, Any]:
  """Adds up one run.

  Args:
    run: the run.

  Returns:
    'rows': one for the teacher, for its own teacher and so on, and for each
    finished stage (two for the online stage if there is a control), with
    'stage', 'agent' and QUANTITIES; a teacher's 'generation' is 1, that of its
    own teacher 2, and None in other rows;
    'totals': sums of the quantities over rows for 'student' (collect to
    online), 'teacher' (its lineage), 'student_and_teacher', and 'control' if
    there is one. What was not recorded is None, and so is any sum over it;
    a stage that was skipped because the user brought its output counts as
    nothing. 'machines' says in words what the stages ran on.
  """
  teachers = _teacher_rows(run.teacher.lineage)
  rows = list(teachers)
  for stage in runs.STAGES:
    if stage == 'online':
      rows.extend(_online_rows(run))
    elif stage in run.stages:
      done = run.stages[stage]
      agent = 'student' if stage == 'offline' else None
      values = {**_counts(stage, done), **_seconds(done)}
      rows.append(_row(stage, agent, values))
  student = [
      row
      for row in rows
      if row['stage'] in _STUDENT_STAGES or row['agent'] == runs.STUDENT
  ]
  totals = {
      'teacher': _total(teachers),
      'student': _total(student),
      'student_and_teacher': _total(teachers + student),
  }
  if runs.TABULA_RASA in run.online:
    totals['control'] = _total(
        [row for row in rows if row['agent'] == runs.TABULA_RASA]
    )
  return {
      'run': run.name,
      'game': run.game,
      'seed': run.seed,
      'rows': rows,
      'totals': totals,
      'machines': _machines(run),
  }


def _machines(run: runs.Run) -> Sequence[str]:
  """Describes each kind of machine that ran a stage, in words."""
  machines = []
  for done in run.stages.values():
    machine = done.get('machine')
    if machine:
      text = (
          f'{machine["processor"]}, {formats.plural(machine["cores"], "core")},'
          f' {formats.size(machine["memory_bytes"])} of memory'
      )
      if text not in machines:
        machines.append(text)
  return machines


def _teacher_rows(lineage: Mapping[str, Any]) -> list[dict[str, Any]]:
  """One row for the teacher and each teacher before it."""
  rows = []
  while True:
    rows.append(_row('teacher', 'teacher', lineage, len(rows) + 1))
    teacher = lineage.get('teacher')
    if not teacher:
      return rows
    lineage = teacher.get('lineage') or {}


def _online_rows(run: runs.Run) -> Sequence[dict[str, Any]]:
  """One row for each agent that learned in the online stage."""
  done = run.stages['online']
  rows = []
  for agent, evaluations in run.online.items():
    recorded = done.get('counts', {}).get(agent, {})
    last = evaluations[-1]
    values = {
        'frames': last.frames,
        'actor_steps': last.actor_steps,
    } | recorded
    if len(run.online) == 1:
      values = _seconds(done) | values
    rows.append(_row('online', agent, values))
  return rows


def _counts(stage: str, done: Mapping[str, Any]) -> Mapping[str, Any]:
  """Counts of a stage; 0 for what it does not do, None if not recorded."""
  counts = done.get('counts', {})
  return {
      name: counts.get(name) if name in _COUNTED.get(stage, ()) else 0
      for name in _COUNTS
  }


def _seconds(done: Mapping[str, Any]) -> Mapping[str, Any]:
  return {name: done.get(name) for name in _SECONDS}


def _row(
    stage: str,
    agent: Optional[str],
    values: Mapping[str, Any],
    generation: Optional[int] = None,
) -> dict[str, Any]:
  return {'stage': stage, 'agent': agent, 'generation': generation} | {
      name: values.get(name) for name in QUANTITIES
  }


def _total(rows: Sequence[Mapping[str, Any]]) -> dict[str, Optional[float]]:
  totals = {}
  for name in QUANTITIES:
    values = [row[name] for row in rows]
    totals[name] = None if None in values else sum(values)
  return totals
