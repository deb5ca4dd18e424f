"""Checks the files for Slurm and Kubernetes as far as one can without either."""

import pathlib
import re
import subprocess

import yaml

from rrl_pipeline.launch import launch
from rrl_pipeline.launch import online_roles

_FOLDER = pathlib.Path(__file__).resolve().parents[2] / 'docs' / 'schedulers'
_SLURM = _FOLDER / 'online.slurm'


def _assert_are_flags(names) -> None:
  assert {name.lstrip('-') for name in names} <= set(launch.define_flags())


def test_slurm_script_is_bash():
  subprocess.run(['bash', '-n', _SLURM], check=True)


def test_slurm_script_starts_all_roles_with_flags_that_there_are():
  text = _SLURM.read_text()
  roles = re.findall(r'^\s*\(?(?:keep|role) \S+ --role=(\w+)', text, re.M)
  assert sorted(roles) == sorted(online_roles.ROLES)
  command = text[text.index('python -m') :]
  # What srun takes stands there too.
  flags = set(re.findall(r'--[a-z_]+(?==)', command)) - {'--nodelist'}
  _assert_are_flags(flags)


def test_kubernetes_jobs_start_all_roles_with_flags_that_there_are():
  documents = list(yaml.safe_load_all((_FOLDER / 'online.yaml').read_text()))
  jobs = [d for d in documents if d['kind'] == 'Job']
  (service,) = [d for d in documents if d['kind'] == 'Service']
  port = service['spec']['ports'][0]['port']
  address = f"{service['metadata']['name']}:{port}"
  roles = []
  for job in jobs:
    template = job['spec']['template']
    (container,) = template['spec']['containers']
    flags = dict(argument.split('=', 1) for argument in container['args'])
    _assert_are_flags(flags)
    assert flags['--replay_address'] == address
    assert template['metadata']['labels']['role'] == flags['--role']
    assert template['spec']['restartPolicy'] == 'OnFailure'
    mounted = {mount['name'] for mount in container['volumeMounts']}
    assert mounted == {volume['name'] for volume in template['spec']['volumes']}
    roles.append(flags['--role'])
    if flags['--role'] == 'actor':
      assert job['spec']['completionMode'] == 'Indexed'
      assert flags['--actor_index'] == '$(JOB_COMPLETION_INDEX)'
      assert job['spec']['parallelism'] == job['spec']['completions']
  assert sorted(roles) == sorted(online_roles.ROLES)
  # Only pods of this run reach the server.
  (policy,) = [d for d in documents if d['kind'] == 'NetworkPolicy']
  assert policy['spec']['podSelector']['matchLabels'] == (
      service['spec']['selector']
  )
  assert policy['spec']['ingress'][0]['ports'] == [{'port': port}]
