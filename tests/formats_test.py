"""Tests of how numbers are written."""

import pytest

from rrl_pipeline import formats


@pytest.mark.parametrize(
    'function, value, expected',
    (
        (formats.score, 0.908333, '0.91'),
        (formats.score, -0.256, '−0.26'),
        (formats.score, -0.001, '0.00'),
        (formats.points, -20.7, '−20.7'),
        (formats.points, 12345.67, '12,345.7'),
        (formats.points, -0.04, '0.0'),
        (formats.episode_return, -21.0, '−21'),
        (formats.episode_return, 1234.5, '1,234.5'),
        (formats.episode_return, 0.0, '0'),
        (formats.count, 2_500_000, '2,500,000'),
        (formats.count, None, 'not recorded'),
        (formats.seconds, 59.6, '60 s'),
        (formats.seconds, 360, '6 min'),
        (formats.seconds, 9000, '2.5 h'),
        (formats.seconds, None, 'not recorded'),
        (formats.size, 999, '999 bytes'),
        (formats.size, 1_234_567, '1.2 MB'),
        (formats.size, 7.2e9, '7.2 GB'),
        (formats.size, None, 'not recorded'),
    ),
)
def test_numbers(function, value, expected):
  assert function(value) == expected


def test_plurals():
  assert formats.plural(1, 'run') == '1 run'
  assert formats.plural(2000, 'run') == '2,000 runs'
