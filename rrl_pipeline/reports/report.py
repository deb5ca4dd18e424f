"""Builds the report of one or several runs from their directories.

docs/report.md describes what is read and every key of report.json.
"""

import dataclasses
import os
import pathlib
from typing import Any, Mapping, Optional, Sequence, Union

from rrl_pipeline import formats
from rrl_pipeline import run_directory
from rrl_pipeline import scores
from rrl_pipeline.environments import balloon_flights
from rrl_pipeline.reports import balloon_flight
from rrl_pipeline.reports import balloon_scores
from rrl_pipeline.reports import config as config_lib
from rrl_pipeline.reports import figures
from rrl_pipeline.reports import film as film_lib
from rrl_pipeline.reports import gif
from rrl_pipeline.reports import html
from rrl_pipeline.reports import metric_figures
from rrl_pipeline.reports import pictures as pictures_lib
from rrl_pipeline.reports import runs as runs_lib
from rrl_pipeline.reports import summary as summary_lib
from rrl_pipeline.reports import timeline


@dataclasses.dataclass(frozen=True)
class Report:
  """A report in memory; the same runs give the same bytes.

  Attributes:
    summary: the value of report.json.
    html: the self-contained document.
    pictures: the figures in it.
    film: GIF of the student at play; None if no play was recorded.
  """

  summary: Mapping[str, Any]
  html: str
  pictures: Sequence[pictures_lib.Picture]
  film: Optional[bytes]


def build_report(
    directory: Union[str, os.PathLike], config: config_lib.ReportConfig
) -> Report:
  """Reads the run directories and works out the report.

  Args:
    directory: of the run whose report this is.
    config: what else it covers.

  Raises:
    ValueError: something is missing, damaged or does not go together; the
      message says what, where and what to do.
  """
  runs = [runs_lib.read_run(path) for path in (directory, *config.other_runs)]
  resamples = config.bootstrap_resamples
  flown = next((run for run in runs if run.course is not None), None)
  comparison = flown and balloon_scores.compare(flown.flights, resamples)
  summary = summary_lib.summarise(runs, resamples, comparison)
  pictures = _pictures(runs, summary)
  if flown:
    pictures += _flight_pictures(flown.course, comparison)
  film, still = _film(runs[0], config.film_seconds)
  document = html.render(
      summary,
      pictures,
      film,
      still,
      comparison and balloon_scores.columns(comparison),
  )
  return Report(summary, document, pictures, film)


def write_report(report: Report, directory: Union[str, os.PathLike]) -> None:
  """Writes each file whole or not at all, report.json last.

  Args:
    report: what to write.
    directory: gets report.html, report.json, figures/*.png and student.gif;
      created if need be. Figures of an earlier report are removed.
  """
  directory = pathlib.Path(directory)
  pictures_lib.write(report.pictures, directory / 'figures')
  film = directory / 'student.gif'
  if report.film is None:
    film.unlink(missing_ok=True)
  else:
    run_directory.write_bytes(film, report.film)
  run_directory.write_bytes(
      directory / 'report.html', report.html.encode('utf-8')
  )
  run_directory.write_json(directory / 'report.json', report.summary)


def _film(
    run: runs_lib.Run, seconds: float
) -> tuple[Optional[bytes], Optional[bytes]]:
  """Returns the GIF and one of its images as PNG."""
  if run.course is not None:
    frames = balloon_flight.film_frames(run.course)
    film = gif.encode_gif(frames, balloon_flight.FILM_FPS)
    return film, gif.encode_still(frames[-1])
  film = run.play is not None and film_lib.make(
      run.play, run.frame_skip, seconds
  )
  if not film:
    return None, None
  # The first frames of many games show an empty field.
  still = film.frames[len(film.frames) // 2]
  return gif.encode_gif(film.frames, film.fps), gif.encode_still(still)


def _pictures(
    runs: Sequence[runs_lib.Run], summary: Mapping[str, Any]
) -> list[pictures_lib.Picture]:
  pictures = []
  for game in summary['games']:
    game_runs = [run for run in runs if run.game == game]
    pictures.extend(_game_pictures(game, game_runs, summary))
  intervals = figures.intervals(summary['aggregates'])
  if intervals is not None:
    pictures.append(
        pictures_lib.Picture(
            name='aggregates',
            title='Aggregates over runs',
            png=intervals,
            description=(
                'Aggregate scores of student and tabula rasa with 95 %'
                ' intervals; the table of aggregates below holds the same'
                ' figures.'
            ),
            caption=(
                'Black: the estimate. Coloured: its 95 % interval over runs.'
            ),
        )
    )
  return pictures


def _flight_pictures(
    course: balloon_flights.Course, comparison: balloon_scores.Comparison
) -> list[pictures_lib.Picture]:
  return [
      balloon_scores.picture(comparison),
      pictures_lib.Picture(
          name='flight',
          title='A flight of the student',
          png=balloon_flight.picture(course),
          description=balloon_flight.describe(course),
          caption='The flight whose time within 50 km is the median.',
      ),
  ]


def _game_pictures(
    game: str, runs: Sequence[runs_lib.Run], summary: Mapping[str, Any]
) -> Sequence[pictures_lib.Picture]:
  random = summary['random']['per_game'][game]
  scales = [scores.Scale(random, run.teacher.mean_return) for run in runs]
  if len(runs) == 1:
    reading = 'Line: mean of an evaluation. Dots: its episodes.'
  else:
    reading = 'Thick line: mean over runs. Thin lines: single runs.'
  if any(run.offline for run in runs):
    reading += (
        ' Hollow circle: the student as it enters the online phase, its last'
        ' offline evaluation.'
    )
  pictures = [
      pictures_lib.Picture(
          name=f'learning_curves_{game}',
          title=f'Return while learning ({game})',
          png=figures.learning_curves(runs, scales),
          description=_describe_curves(game, runs, scales),
          caption=reading,
      )
  ]
  metrics = (
      (
          'schedule',
          'Weight of the teacher and learning rate',
          metric_figures.SCHEDULE,
          'λ multiplies the distillation loss: at 0 the student learns without'
          ' its teacher.',
      ),
      (
          'agreement',
          'Agreement of student and teacher',
          metric_figures.AGREEMENT,
          'Share of the states of a batch in which both would choose the same'
          ' action, as long as the teacher is run.',
      ),
      (
          'diagnostics',
          'Action gap and gradients',
          metric_figures.DIAGNOSTICS,
          'Action gap: by how much the value of the greedy action exceeds the'
          ' next one. Cosine: below 0 the rewards and the teacher pull the'
          ' weights apart.',
      ),
      (
          'losses',
          'Losses',
          metric_figures.LOSSES,
          'Means over batches, on logarithmic axes. Losses of different phases'
          ' are over different data.',
      ),
  )
  for name, title, series, caption in metrics:
    png = metric_figures.curves(runs, series)
    if png is not None:
      pictures.append(
          pictures_lib.Picture(
              name=f'{name}_{game}',
              title=f'{title} ({game})',
              png=png,
              description=_describe_metrics(title, runs, series),
              caption=caption,
          )
      )
  return pictures


def _describe_curves(
    game: str,
    runs: Sequence[runs_lib.Run],
    scales: Sequence[scores.Scale],
) -> str:
  """Says in words what the learning curves show."""
  parts = []
  curves = (
      ('student, offline', [run.offline for run in runs if run.offline]),
      ('student, online', [run.online[runs_lib.STUDENT] for run in runs]),
      (
          'tabula rasa',
          [
              run.online[runs_lib.TABULA_RASA]
              for run in runs
              if runs_lib.TABULA_RASA in run.online
          ],
      ),
  )
  for name, evaluations in curves:
    if evaluations:
      first, last = (
          sum(curve[end].mean_return for curve in evaluations)
          / len(evaluations)
          for end in (0, -1)
      )
      parts.append(
          f'{name} from {formats.points(first)} to {formats.points(last)}'
      )
  teacher = sum(scale.teacher for scale in scales) / len(scales)
  return (
      f'Mean return on {game}: {"; ".join(parts)}. Teacher'
      f' {formats.points(teacher)}, random play'
      f' {formats.points(scales[0].random)}.'
  )


def _describe_metrics(
    title: str,
    runs: Sequence[runs_lib.Run],
    series: Sequence[metric_figures.Series],
) -> str:
  """Says where the curves of the first run begin and end."""
  phases = (
      (timeline.OFFLINE, 'offline'),
      (runs_lib.STUDENT, 'online'),
      (runs_lib.TABULA_RASA, 'tabula rasa'),
  )
  parts = []
  for entry in series:
    for phase, name in phases:
      _, values = timeline.points(runs[0], phase, entry.column)
      if len(values):
        parts.append(
            f'{entry.label} {name} from {values[0]:.3g} to {values[-1]:.3g}'
        )
  return f'{title}: {"; ".join(parts)}.'.replace('\n', ' ')
