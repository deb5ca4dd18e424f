"""Reads what the stages of a run left on disk.

Everything that a report says comes from these files; docs/report.md lists
them. Nothing is computed here.
"""

import collections
import dataclasses
import hashlib
import json
import math
import os
import pathlib
from typing import Any, Mapping, Optional, Sequence, Union

import numpy as np

from rrl_pipeline import run_directory
from rrl_pipeline.environments import balloon_flights
from rrl_pipeline.environments import config as environment_config
from rrl_pipeline import types
from rrl_pipeline.training import metric_log

STUDENT = 'student'
TABULA_RASA = 'tabula_rasa'
# The stages whose time and counts a report shows, in the order they run.
STAGES = ('collect', 'dataset', 'offline', 'online', 'evaluate')


@dataclasses.dataclass(frozen=True)
class Evaluation:
  """Some episodes that one agent played with the same weights.

  Attributes:
    learner_steps: gradient updates that the agent had had.
    actor_steps: agent steps that it had taken online.
    frames: emulator frames of those agent steps.
    returns: raw return of each episode.
    num_truncated: how many of the episodes a time limit ended.
  """

  learner_steps: int
  actor_steps: int
  frames: int
  returns: tuple[float, ...]
  num_truncated: int

  @property
  def mean_return(self) -> float:
    return float(np.mean(self.returns))


@dataclasses.dataclass(frozen=True)
class Teacher:
  """What a teacher's bundle says about its score and its making.

  Attributes:
    mean_return: raw, over `num_episodes` episodes.
    std_return: standard deviation over those episodes, if recorded.
    num_episodes: how many, if recorded.
    epsilon: share of random actions in those episodes, if recorded.
    lineage: how it was made: command, actor_steps, learner_steps, frames,
      wall_seconds, cpu_seconds, and 'teacher', the contents of its own
      teacher's bundle.json, as far as recorded.
    identity: SHA-256 of bundle.json: equal for the same teacher.
  """

  mean_return: float
  std_return: Optional[float]
  num_episodes: Optional[int]
  epsilon: Optional[float]
  lineage: Mapping[str, Any]
  identity: str


@dataclasses.dataclass(frozen=True)
class Run:
  """One run directory.

  Attributes:
    name: of the directory, without the path to it.
    game: from the configuration.
    seed: of the run.
    frame_skip: emulator frames of one agent step.
    config: the whole config.json.
    command: the command line of the run, if recorded.
    teacher: its teacher.
    offline: the student's evaluations of the offline stage; may be empty.
    online: by agent, its evaluations of the online stage.
    final: by agent, the evaluation of the evaluate stage; may be empty.
    metrics: rows of metrics.csv by 'offline', 'student' and 'tabula_rasa'.
    stages: DONE.json by finished stage.
    dataset: path of the dataset below the stage's directory, if there is one.
    play: uint8 [N, H, W] or [N, H, W, 3] frames of the student at play.
    flights: of balloons on the seeds of their suites; may be empty.
    course: of one flight of the student's, if it flies balloons.
  """

  name: str
  game: str
  seed: int
  frame_skip: int
  config: Mapping[str, Any]
  command: Optional[str]
  teacher: Teacher
  offline: Sequence[Evaluation]
  online: Mapping[str, Sequence[Evaluation]]
  final: Mapping[str, Evaluation]
  metrics: Mapping[str, Sequence[Mapping[str, float]]]
  stages: Mapping[str, Mapping[str, Any]]
  dataset: Optional[str]
  play: Optional[np.ndarray]
  flights: Sequence[balloon_flights.FlightScore] = ()
  course: Optional[balloon_flights.Course] = None


def read_run(directory: Union[str, os.PathLike]) -> Run:
  """Reads a run whose online stage is finished.

  Raises:
    ValueError: a file is missing that a report cannot do without, or damaged;
      the message names the stage to run or the file to mend.
  """
  paths = run_directory.RunDirectory(pathlib.Path(directory).resolve())
  if not paths.config.exists():
    raise ValueError(
        f'{directory} is no run directory: it has no config.json; give the'
        ' --run_dir of a run'
    )
  config = run_directory.read_json(paths.config)
  try:
    environment = environment_config.from_json(config.get('environment'))
  except ValueError as error:
    raise ValueError(
        f'{paths.config} names no environment that can be reported: {error}'
    ) from error
  if paths.read_done('online') is None:
    raise ValueError(
        f'{directory}: the online stage is not finished; run it with'
        f' --stage=online --run_dir={directory}, then the report'
    )
  online = paths.stage('online')
  records = {
      agent: _read_records(online / agent / 'evaluations.jsonl', agent)
      for agent in (STUDENT, TABULA_RASA)
      if agent == STUDENT or (online / agent).exists()
  }
  for agent, agent_records in records.items():
    if not agent_records:
      raise ValueError(
          f'{online / agent}/evaluations.jsonl holds no evaluation of the'
          f' {agent}; run --stage=online again'
      )
  offline_records = _read_records(
      paths.stage('offline') / 'evaluations.jsonl', STUDENT
  )
  final_records = _read_records(
      paths.stage('evaluate') / 'evaluations.jsonl', None
  )
  seeds = {
      record.seed
      for group in (*records.values(), offline_records, final_records)
      for record in group
  }
  if len(seeds) > 1:
    raise ValueError(
        f'{directory} mixes evaluations of the seeds {sorted(seeds)}; a run has'
        ' one seed, so files of several runs were put together'
    )
  return Run(
      name=paths.root.name,
      game=environment.task,
      seed=seeds.pop(),
      frame_skip=environment.frame_skip,
      config=config,
      command=_read_text(paths.root / 'command.txt'),
      teacher=_read_teacher(paths.stage('teacher')),
      offline=_group(offline_records),
      online={agent: _group(group) for agent, group in records.items()},
      final={
          agent: _group([r for r in final_records if r.agent == agent])[-1]
          for agent in sorted({record.agent for record in final_records})
      },
      metrics={
          'offline': _read_metrics(paths.stage('offline')),
          STUDENT: _read_metrics(online / STUDENT),
          TABULA_RASA: _read_metrics(online / TABULA_RASA),
      },
      stages={
          stage: done
          for stage in STAGES
          if (done := paths.read_done(stage)) is not None
      },
      dataset=_find_dataset(paths.stage('dataset')),
      play=_read_play(paths.stage('evaluate') / 'student_frames.npy'),
      flights=balloon_flights.read_scores(
          paths.stage('evaluate') / balloon_flights.SCORES
      ),
      course=_read_course(paths.stage('evaluate') / balloon_flights.COURSE),
  )


def _read_text(path: pathlib.Path) -> Optional[str]:
  return path.read_text(encoding='utf-8').strip() if path.exists() else None


def _read_metrics(directory: pathlib.Path) -> Sequence[Mapping[str, float]]:
  path = directory / 'metrics.csv'
  return metric_log.read_rows(path) if path.exists() else []


def _find_dataset(directory: pathlib.Path) -> Optional[str]:
  """Returns <name>/<config>/<version> of the dataset, if it was made here."""
  for path in sorted(directory.glob('*/*/*/dataset_info.json')):
    return path.parent.relative_to(directory).as_posix()
  return None


def _read_course(path: pathlib.Path) -> Optional[balloon_flights.Course]:
  return balloon_flights.read_course(path) if path.exists() else None


def _read_play(path: pathlib.Path) -> Optional[np.ndarray]:
  if not path.exists():
    return None
  try:
    # Mapped: only the frames that are shown are read.
    return np.load(path, mmap_mode='r', allow_pickle=False)
  except (ValueError, EOFError) as error:
    raise ValueError(
        f'{path} is damaged ({error}); run --stage=evaluate again'
    ) from error


def _read_teacher(directory: pathlib.Path) -> Teacher:
  """Reads bundle.json of a teacher trained in this run or copied into it."""
  candidates = (directory / 'bundle' / 'bundle.json', directory / 'bundle.json')
  path = next((path for path in candidates if path.exists()), None)
  if path is None:
    raise ValueError(
        f'{directory} holds no bundle.json, so that scores cannot be'
        ' normalised by the teacher; run --stage=teacher first'
    )
  bundle = run_directory.read_json(path)
  score = bundle.get('score') or {}
  mean = score.get('mean_return')
  if not isinstance(mean, (int, float)) or not math.isfinite(mean):
    raise ValueError(
        f'{path}: expected a finite number as score.mean_return, got {mean!r};'
        ' evaluate the teacher again with --stage=teacher'
    )
  canonical = json.dumps(bundle, sort_keys=True).encode('utf-8')
  return Teacher(
      mean_return=float(mean),
      std_return=score.get('std_return'),
      num_episodes=score.get('num_episodes'),
      epsilon=score.get('epsilon'),
      lineage=bundle.get('lineage') or {},
      identity=hashlib.sha256(canonical).hexdigest(),
  )


def _read_records(
    path: pathlib.Path, agent: Optional[str]
) -> Sequence[types.EvaluationRecord]:
  """Reads an evaluations.jsonl; none if there is no such file.

  Args:
    path: of the file.
    agent: who must have played; None for anybody.
  """
  if not path.exists():
    return []
  records = []
  lines = path.read_text(encoding='utf-8').splitlines()
  for number, line in enumerate(lines, start=1):
    try:
      record = types.EvaluationRecord.from_json(line)
      if not math.isfinite(record.episode_return):
        raise ValueError(f'the return is {record.episode_return}')
      if agent is not None and record.agent != agent:
        raise ValueError(f'the agent is {record.agent!r}, expected {agent!r}')
    except (TypeError, ValueError) as error:
      raise ValueError(
          f'{path}, line {number} is no evaluation record: got {line[:60]!r}'
          f' ({error}); mend that line or run the stage that wrote it again'
      ) from error
    records.append(record)
  return records


def _group(
    records: Sequence[types.EvaluationRecord],
) -> Sequence[Evaluation]:
  """Collects the episodes of each evaluation, ordered by experience.

  A run that was killed in the middle of an evaluation plays its episodes again
  when it resumes: the later record of an episode counts.
  """
  groups = collections.defaultdict(dict)
  for record in records:
    key = (record.frames, record.actor_steps, record.learner_steps)
    groups[key][record.episode] = record
  evaluations = []
  for key in sorted(groups):
    episodes = [record for _, record in sorted(groups[key].items())]
    frames, actor_steps, learner_steps = key
    evaluations.append(
        Evaluation(
            learner_steps=learner_steps,
            actor_steps=actor_steps,
            frames=frames,
            returns=tuple(float(r.episode_return) for r in episodes),
            num_truncated=sum(not r.terminal for r in episodes),
        )
    )
  return evaluations
