"""Agents that flew the same seeds of a suite, compared.

Flights differ much more from seed to seed (standard deviation of TWR50 0.31)
than from agent to agent, so agents are compared on the same seeds, by the
differences within each seed. The normalised score maps mean returns so that
the random walk is 0 and the teacher is 1.

All intervals are 95 % percentile bootstraps over seeds: they say how well an
agent is measured, not what another training run would give.
"""

import dataclasses
from typing import Any, Mapping, Optional, Sequence

import matplotlib
from matplotlib import figure as figure_lib
import numpy as np

from rrl_pipeline import scores as scores_lib
from rrl_pipeline.environments import balloon_flights
from rrl_pipeline.reports import aggregate
from rrl_pipeline.reports import panels
from rrl_pipeline.reports import pictures

TEACHER = 'teacher'
RANDOM_WALK = 'random_walk'
_SEED = 0
# Okabe and Ito's palette; agents beyond those of every report are grey.
_COLOURS = {**panels.COLOURS, 'station_seeker': '#009E73'}
_GREY = '#767676'
_NO_VALUE = '\N{EN DASH}'


@dataclasses.dataclass(frozen=True)
class AgentScore:
  """One agent on the seeds that all agents flew.

  Attributes:
    time_within_radius: mean TWR50, in [0, 1].
    interquartile_mean: of TWR50: the mean over the middle half of the seeds.
    mean_return: mean return.
    normalised_score: of the mean return; None without teacher or random walk.
    difference: mean of TWR50 minus the teacher's, seed by seed; None without
      teacher.
    power_outages: flights that ended with an empty battery.
    bursts: flights that ended with a burst envelope or without superpressure.
  """

  time_within_radius: aggregate.Estimate
  interquartile_mean: aggregate.Estimate
  mean_return: aggregate.Estimate
  normalised_score: Optional[aggregate.Estimate]
  difference: Optional[aggregate.Estimate]
  power_outages: int
  bursts: int


@dataclasses.dataclass(frozen=True)
class Comparison:
  """All agents on the seeds that each of them flew.

  Attributes:
    seeds: ascending.
    agents: by name, in the order in which they were first seen.
  """

  seeds: tuple[int, ...]
  agents: Mapping[str, AgentScore]


def compare(
    flights: Sequence[balloon_flights.FlightScore], resamples: int
) -> Comparison:
  """Compares agents on the seeds that all of them flew.

  Args:
    flights: of two or more agents. The one called 'teacher' is what the others
      are compared with, and 'random_walk' the lower end of the scale.
    resamples: of each bootstrap.

  Raises:
    ValueError: there is no seed that all agents flew, or the teacher is not
      above the random walk.
  """
  by_agent = balloon_flights.by_agent(flights)
  names = dict.fromkeys(flight.agent for flight in flights)
  seeds = [
      seed
      for seed in sorted({flight.seed for flight in flights})
      if all(seed in column for column in by_agent.values())
  ]
  if not seeds:
    raise ValueError(
        f'the agents {", ".join(names)} flew no seed in common, so that they'
        ' cannot be compared; evaluate all of them on one suite'
    )
  columns = {
      name: [by_agent[name][seed] for seed in seeds] for name in names
  }
  returns = {
      name: np.array([flight.episode_return for flight in column])
      for name, column in columns.items()
  }
  times = {
      name: np.array([flight.time_within_radius for flight in column])
      for name, column in columns.items()
  }
  agents = {}
  for name, column in columns.items():
    difference = None
    if TEACHER in names and name != TEACHER:
      difference = aggregate.over_episodes(
          times[name] - times[TEACHER], resamples, _SEED
      )
    agents[name] = AgentScore(
        time_within_radius=aggregate.over_episodes(
            times[name], resamples, _SEED
        ),
        interquartile_mean=aggregate.over_runs(
            times[name][:, None], resamples, _SEED
        )['iqm'],
        mean_return=aggregate.over_episodes(returns[name], resamples, _SEED),
        normalised_score=_normalised_score(name, returns, resamples),
        difference=difference,
        power_outages=sum(flight.out_of_power for flight in column),
        bursts=sum(
            flight.envelope_burst or flight.zeropressure for flight in column
        ),
    )
  return Comparison(tuple(seeds), agents)


def picture(comparison: Comparison) -> pictures.Picture:
  """Mean TWR50 of each agent, and what it is above or below the teacher."""
  names = list(comparison.agents)
  agents = comparison.agents.values()
  has_teacher = TEACHER in comparison.agents
  with matplotlib.rc_context(panels.STYLE):
    figure = figure_lib.Figure(
        figsize=(panels.WIDTH_INCHES, 1.1 + 0.42 * len(names)),
        layout='constrained',
    )
    axes = np.ravel(figure.subplots(1, 1 + has_teacher, sharey=True))
    _draw_estimates(axes[0], names, [a.time_within_radius for a in agents])
    axes[0].set_xlim(left=0)
    axes[0].set_title('TWR50 [%]')
    if has_teacher:
      _draw_estimates(axes[1], names, [a.difference for a in agents])
      axes[1].axvline(0, color='black', linewidth=0.8)
      axes[1].set_title('difference from the teacher [points]')
    axes[0].set_yticks(
        range(len(names)), [name.replace('_', ' ') for name in names]
    )
    axes[0].invert_yaxis()
    return pictures.Picture(
        name='balloon_scores',
        title=f'Time within 50 km of the station ({len(comparison.seeds)} seeds)',
        png=panels.png(figure),
        description=_describe(comparison),
        caption=(
            'Black: the mean over seeds. Coloured: its 95 % interval over'
            ' seeds. Differences are taken seed by seed.'
        ),
    )


def columns(comparison: Comparison) -> dict[str, list[str]]:
  """A table's cells by title of the column; those without any are left out."""
  agents = comparison.agents.values()
  cells = {
      'agent': list(comparison.agents),
      'TWR50 [%]': [_text(a.time_within_radius, 100, 1) for a in agents],
      'IQM [%]': [_text(a.interquartile_mean, 100, 1) for a in agents],
      'minus the teacher [points]': [
          _text(a.difference, 100, 1) for a in agents
      ],
      'mean return': [_text(a.mean_return, 1, 0) for a in agents],
      'normalised return': [_text(a.normalised_score, 1, 2) for a in agents],
      'power outages': [str(a.power_outages) for a in agents],
      'bursts': [str(a.bursts) for a in agents],
  }
  return {
      title: column
      for title, column in cells.items()
      if set(column) != {_NO_VALUE}
  }


def table(comparison: Comparison) -> str:
  """The comparison in Markdown."""
  cells = columns(comparison)
  rows = [cells, ['---'] * len(cells), *zip(*cells.values())]
  return ''.join(f'| {" | ".join(row)} |\n' for row in rows)


def _normalised_score(
    name: str, returns: Mapping[str, np.ndarray], resamples: int
) -> Optional[aggregate.Estimate]:
  """(agent - random walk) / (teacher - random walk), of mean returns.

  The bootstrap redraws seeds with all three returns of each, so that the
  interval knows how well both ends of the scale are measured on these seeds.
  """
  if TEACHER not in returns or RANDOM_WALK not in returns:
    return None
  three = np.stack([returns[name], returns[RANDOM_WALK], returns[TEACHER]])
  scale = scores_lib.Scale(*three.mean(axis=1)[1:])
  value = float(scale.normalise(three[0].mean()))
  if three.shape[1] == 1 or name in (TEACHER, RANDOM_WALK):
    return aggregate.Estimate(value)
  generator = np.random.default_rng(_SEED)
  count = three.shape[1]
  drawn = generator.integers(count, size=(resamples, count))
  agent, random_walk, teacher = three[:, drawn].mean(axis=2)
  # A resample in which the teacher is no better than the walk has no scale.
  kept = teacher > random_walk
  values = (agent - random_walk)[kept] / (teacher - random_walk)[kept]
  tail = 50 * (1 - aggregate.CONFIDENCE)
  low, high = np.percentile(values, [tail, 100 - tail])
  return aggregate.Estimate(value, float(low), float(high))


def _draw_estimates(
    axis: Any,
    names: Sequence[str],
    estimates: Sequence[Optional[aggregate.Estimate]],
) -> None:
  for row, (name, estimate) in enumerate(zip(names, estimates, strict=True)):
    if estimate is None:
      continue
    if estimate.low is not None:
      axis.barh(
          row,
          100 * (estimate.high - estimate.low),
          left=100 * estimate.low,
          height=0.5,
          color=_COLOURS.get(name, _GREY),
          alpha=0.45,
      )
    axis.plot(
        [100 * estimate.value] * 2, [row - 0.25, row + 0.25], color='black'
    )
  axis.grid(axis='y', visible=False)
  axis.use_sticky_edges = False
  axis.xaxis.set_major_locator(panels.few_ticks(6))


def _describe(comparison: Comparison) -> str:
  parts = [
      f'{name.replace("_", " ")} {_text(agent.time_within_radius, 100, 1)} %'
      for name, agent in comparison.agents.items()
  ]
  return (
      f'Mean TWR50 over {len(comparison.seeds)} seeds: {"; ".join(parts)}.'
  )


def _text(
    estimate: Optional[aggregate.Estimate], factor: float, digits: int
) -> str:
  """'30.1 (27.5 to 33.0)', or a dash."""
  if estimate is None:
    return _NO_VALUE
  value, low, high = (
      None if x is None else f'{factor * x:.{digits}f}'
      for x in (estimate.value, estimate.low, estimate.high)
  )
  return value if low is None else f'{value} ({low} to {high})'
