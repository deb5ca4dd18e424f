"""Settings of the report; light, for programs that only read settings."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class ReportConfig:
  """What a report covers.

  Attributes:
    other_runs: further run directories, of other seeds or games, that the
      report puts together with the run itself.
    bootstrap_resamples: of each bootstrap interval.
    film_seconds: length of the film of the student at play, in game time.
  """

  other_runs: tuple[str, ...] = ()
  bootstrap_resamples: int = 2000
  film_seconds: float = 20.0

  def __post_init__(self):
    if self.bootstrap_resamples < 1:
      raise ValueError(
          'report.bootstrap_resamples must be at least 1, got'
          f' {self.bootstrap_resamples}'
      )
    if not self.film_seconds > 0:
      raise ValueError(
          f'report.film_seconds must be positive, got {self.film_seconds}'
      )
