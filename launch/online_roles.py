"""The online stage as several processes: replay, learner, actors, evaluator.

On one machine they are started and supervised here; on several, a scheduler
starts each of them by `--role`.
"""

import contextlib
import pathlib
import re
import socket
import sys
import threading
from typing import Callable, Iterator

from rrl_pipeline import run_directory
from rrl_pipeline import stages
from rrl_pipeline import stopping
from rrl_pipeline.launch import pipeline
from rrl_pipeline.launch import processes
from rrl_pipeline.launch import supervisor

ROLES = ('replay', 'learner', 'actor', 'evaluator')

_STAGE = 'online'
_REFRESH_SECONDS = 1.0
_ADDRESS = re.compile(r'(?P<host>[^:\s]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})')


def online(
    context: stages.Context, num_actors: int, say: Callable[[str], None]
) -> stages.Result:
  """Trains each agent with so many actors; what a stage's `run` does."""
  for agent in pipeline.online_agents(context):
    log_directory = context.directory / agent / 'logs'
    say(f'[{_STAGE}] {agent}: {num_actors} actors; logs in {log_directory}')
    port = free_port()
    address = f'localhost:{port}'
    with stopping.listen() as request, _progress(
        address, agent, context.config.online.num_actor_steps
    ):
      supervisor.Supervisor(
          roles(context.run, agent, num_actors, address, log_directory),
          'learner',
          say,
      ).run(request)
  # Nothing is left to be trained: this evaluates nothing and exports.
  return pipeline.online(context)


def run_role(
    role: str,
    run: run_directory.RunDirectory,
    config,
    agent: str,
    address: str,
    actor_index: int,
) -> None:
  """Runs one role of one agent, until the learner is finished.

  Args:
    role: one of `ROLES`.
    run: the run; its teacher, and for the learner what comes before the online
      stage, must be done.
    config: of the run.
    agent: its name.
    address: HOST:PORT of the replay server.
    actor_index: of an actor; no two have the same.

  Raises:
    ValueError: an unknown agent or role, or no address.
  """
  match = _ADDRESS.fullmatch(address or '')
  if match is None or not 0 < int(match['port']) < 2**16:
    raise ValueError(
        f'--replay_address is {address!r}; --role needs it as HOST:PORT, such'
        ' as localhost:8000'
    )
  stage = {stage.name: stage for stage in pipeline.STAGES}[_STAGE]
  context = stages.open_context(stage, config, run)
  agents = pipeline.online_agents(context)
  if agent not in agents:
    raise ValueError(
        f'--agent is {agent!r}; the agents of this run are {", ".join(agents)}'
    )
  from rrl_pipeline.training import roles

  task, agent_config = pipeline.task(context), agents[agent]
  if role == 'replay':
    roles.serve(task, agent, agent_config, match['host'], int(match['port']))
  elif role == 'learner':
    roles.learn(
        context.directory / agent,
        address,
        lambda: pipeline.prepare_online(context, agent),
    )
  elif role == 'actor':
    roles.act(
        task, agent, agent_config, run.stage('teacher'), address, actor_index
    )
  elif role == 'evaluator':
    roles.evaluate(task, agent, agent_config, address)
  else:
    raise ValueError(f'--role is {role!r}; it takes {", ".join(ROLES)}')


def roles(
    run: run_directory.RunDirectory,
    agent: str,
    num_actors: int,
    address: str,
    log_directory: pathlib.Path,
) -> list[supervisor.Role]:
  """The processes of one agent's online stage, in the order of their start.

  Args:
    run: whose online stage it is.
    agent: that is trained.
    num_actors: that play.
    address: HOST:PORT of the replay server.
    log_directory: gets what they write.
  """

  def make(name: str, role: str, index: int = 0, **keywords):
    return supervisor.Role(
        name,
        [
            sys.executable,
            '-m',
            'rrl_pipeline.launch.launch',
            f'--run_dir={run.root}',
            f'--role={role}',
            f'--agent={agent}',
            f'--replay_address={address}',
            f'--actor_index={index}',
        ],
        log_directory / f'{name}.log',
        **keywords,
    )

  # An actor's batch is one observation, which no second thread makes faster.
  one_thread = processes.thread_limits(sys.maxsize)
  return [
      make('replay', 'replay', takes_all_along=True),
      make('learner', 'learner'),
      *(
          make(f'actor_{i}', 'actor', i, environment=one_thread)
          for i in range(num_actors)
      ),
      make('evaluator', 'evaluator', environment=one_thread),
  ]


def free_port() -> int:
  """A port at which nobody listens."""
  with socket.socket() as probe:
    probe.bind(('', 0))
    return probe.getsockname()[1]


@contextlib.contextmanager
def _progress(address: str, agent: str, total: int) -> Iterator[None]:
  """Shows how far the learner is while its block runs."""
  ended = threading.Event()

  def show() -> None:
    from rrl_pipeline.training import patience
    from rrl_pipeline.training import progress
    from rrl_pipeline.training import role_link

    # The supervisor says when and why the server is gone.
    silent = patience.Patience(address, say=lambda line: None)
    silent.is_ending = ended.is_set
    link = counters = None
    while counters is None and not ended.wait(_REFRESH_SECONDS):
      with contextlib.suppress(patience.UnreachableError):
        link = link or role_link.RoleLink(address, silent)
        counters = link.counters()
    if counters is None:
      return
    shown = int(counters.actor_steps)
    with progress.progress(
        total, shown, f'{_STAGE} {agent}', 'steps'
    ) as display:
      while not ended.wait(_REFRESH_SECONDS):
        with contextlib.suppress(patience.UnreachableError):
          counters = link.counters() or counters
        display.update(int(counters.actor_steps) - shown)
        shown = int(counters.actor_steps)

  thread = threading.Thread(target=show, name='progress', daemon=True)
  thread.start()
  try:
    yield
  finally:
    ended.set()
    # A thread that returned from a call of Reverb while the interpreter shuts
    # down would abort the process. Its calls are short, even in vain.
    thread.join()
