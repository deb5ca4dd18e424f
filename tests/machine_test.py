"""Tests of the description of the machine."""

import json
import os
import platform

import numpy as np

from rrl_pipeline import machine


def test_description_is_complete_json():
  described = json.loads(json.dumps(machine.describe()))
  assert described['cores'] == len(os.sched_getaffinity(0))
  assert described['python'] == platform.python_version()
  assert described['packages']['numpy'] == np.__version__
  assert described['processor']
  with open('/proc/meminfo', encoding='utf-8') as file:
    kilobytes = int(file.readline().split()[1])
  assert abs(described['memory_bytes'] - kilobytes * 1024) <= 4096


def test_processor_without_a_model_name(tmp_path, monkeypatch):
  path = tmp_path / 'cpuinfo'
  path.write_text('processor : 0\nmodel name : Fast CPU @ 2:1 GHz\n')
  monkeypatch.setattr(machine, '_CPU_INFO', path)
  assert machine.describe()['processor'] == 'Fast CPU @ 2:1 GHz'
  path.write_text('processor : 0\n')
  assert machine.describe()['processor'] == platform.machine()


def test_package_that_is_not_installed_is_left_out(monkeypatch):
  monkeypatch.setattr(machine, '_PACKAGES', ('numpy', 'no-such-package'))
  assert list(machine.describe()['packages']) == ['numpy']
