"""Tests of the CSV files of a benchmark, by reading them back."""

import csv
import io

from rrl_pipeline.reports import benchmark_csv

_SUMMARY = {
    'runs': [
        {
            'method': 'qdagger', 'task': 'Pong', 'seed': 0, 'n_step': 3,
            'final': 0.5, 'mean_return': -2.0, 'offline': [[10, 0.25]],
            'weaned_at': 400, 'frames': [100, 200], 'scores': [0.1, 0.3],
        },
        {
            'method': 'tabula_rasa', 'task': 'a, b', 'seed': 1, 'n_step': 1,
            'final': 1 / 3, 'mean_return': 7.0, 'offline': [],
            'weaned_at': None, 'frames': [100], 'scores': [0.0],
        },
    ]
}


def _read(text):
  return list(csv.DictReader(io.StringIO(text)))


def test_runs():
  first, second = _read(benchmark_csv.runs(_SUMMARY))
  assert first == {
      'method': 'qdagger', 'task': 'Pong', 'seed': '0', 'n_step': '3',
      'score': '0.5', 'mean_return': '-2.0', 'last_offline_score': '0.25',
      'weaned_at_frames': '400',
  }
  assert second['task'] == 'a, b'
  assert float(second['score']) == 1 / 3
  assert (second['last_offline_score'], second['weaned_at_frames']) == ('', '')


def test_curves():
  rows = _read(benchmark_csv.curves(_SUMMARY))
  assert [
      (r['seed'], r['phase'], r['learner_steps'], r['frames'], r['score'])
      for r in rows
  ] == [
      ('0', 'offline', '10', '', '0.25'),
      ('0', 'online', '', '100', '0.1'),
      ('0', 'online', '', '200', '0.3'),
      ('1', 'online', '', '100', '0.0'),
  ]
