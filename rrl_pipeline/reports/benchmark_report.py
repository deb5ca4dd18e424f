"""Builds the report of a benchmark and writes it."""

import dataclasses
import os
import pathlib
from typing import Any, Mapping, Sequence, Union

from rrl_pipeline import run_directory
from rrl_pipeline.reports import benchmark_csv
from rrl_pipeline.reports import benchmark_page
from rrl_pipeline.reports import benchmark_results
from rrl_pipeline.reports import benchmark_summary
from rrl_pipeline.reports import benchmark_tables
from rrl_pipeline.reports import pictures as pictures_lib


@dataclasses.dataclass(frozen=True)
class BenchmarkReport:
  """A report in memory; the same runs give the same bytes.

  Attributes:
    summary: the value of report.json.
    html: the self-contained document.
    latex: its tables.
    pictures: the figures in it.
  """

  summary: Mapping[str, Any]
  html: str
  latex: str
  pictures: Sequence[pictures_lib.Picture]


def build(
    directory: Union[str, os.PathLike], resamples: int
) -> BenchmarkReport:
  """Reads the runs of a benchmark and compares what is finished.

  Args:
    directory: of the benchmark.
    resamples: of every bootstrap.

  Raises:
    ValueError: nothing is finished, or something is damaged.
  """
  summary = benchmark_summary.summarise(
      benchmark_results.read(directory), resamples
  )
  pictures = benchmark_page.pictures(summary)
  return BenchmarkReport(
      summary=summary,
      html=benchmark_page.render(summary, pictures),
      latex=benchmark_tables.latex(summary),
      pictures=pictures,
  )


def write(
    report: BenchmarkReport, directory: Union[str, os.PathLike]
) -> pathlib.Path:
  """Writes each file whole or not at all, report.json last.

  Args:
    report: what to write.
    directory: gets report.html, report.json, tables.tex, runs.csv, curves.csv
      and figures/*.png; created if need be. Figures of an earlier report are
      removed.

  Returns:
    The path of report.html.
  """
  directory = pathlib.Path(directory)
  pictures_lib.write(report.pictures, directory / 'figures')
  for name, text in (
      ('tables.tex', report.latex),
      ('runs.csv', benchmark_csv.runs(report.summary)),
      ('curves.csv', benchmark_csv.curves(report.summary)),
      ('report.html', report.html),
  ):
    run_directory.write_bytes(directory / name, text.encode('utf-8'))
  run_directory.write_json(directory / 'report.json', report.summary)
  return directory / 'report.html'
