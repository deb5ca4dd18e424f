"""Tests of reading CleanRL's agents, against what they say themselves."""

import pathlib
import pickle
import tempfile
import zipfile

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest

from rrl_pipeline.teachers import array_pickle
from rrl_pipeline.teachers import cleanrl_model
from rrl_pipeline.teachers import foreign_network
from rrl_pipeline.teachers import foreign_teacher
from rrl_pipeline.teachers import numpy_forward
from rrl_pipeline.teachers import torch_file

_FOLDER = (pathlib.Path(__file__).parents[1] / 'testdata' / 'teachers'
           / 'cleanrl')
_DQN = _FOLDER / 'dqn_atari.cleanrl_model'
_C51 = _FOLDER / 'c51_atari.cleanrl_model'
_FRAME, _ACTIONS = 44, 3


def _read(path, num_actions=_ACTIONS, **options):
  return cleanrl_model.read(
      foreign_teacher.Question(path, num_actions, **options))


@pytest.mark.parametrize('path, algorithm', [(_DQN, 'dqn'), (_C51, 'c51')])
def test_an_agent_is_recognised_and_computes_what_it_did(path, algorithm):
  found = _read(path)
  network = found.network
  assert (network.torso, network.algorithm) == ('nature', algorithm)
  assert (network.padding, network.is_channels_first) == ('valid', True)
  assert (network.stack_size, network.channels) == (4, (2, 3, 5))
  foreign_network.check(network, 'a', _FRAME)
  with np.load(_FOLDER / 'expected.npz') as expected:
    values = numpy_forward.q_values(
        network, expected['observations'], np.zeros(1))
    np.testing.assert_allclose(
        values, expected[path.stem], rtol=1e-5, atol=1e-6)


def test_findings_name_what_the_file_says():
  findings = ' '.join(_read(_C51).findings)
  assert '51 atoms from -10 to 10: c51' in findings
  assert 'trained on FreewayNoFrameskip-v4' in findings
  assert 'without sticky actions' in findings
  assert '3 outputs are 1 value per action: dqn' in _read(_DQN).findings


def test_a_file_or_the_folder_of_one_is_taken(tmp_path):
  (tmp_path / _DQN.name).write_bytes(_DQN.read_bytes())
  assert cleanrl_model.matches(tmp_path) and cleanrl_model.matches(_DQN)
  assert _read(tmp_path).files == (tmp_path / _DQN.name,)
  assert not cleanrl_model.matches(tmp_path / 'ckpt.3')
  with pytest.raises(ValueError, match='holds 2 files .* give the file itself'):
    _read(_FOLDER)


@pytest.mark.parametrize('path, num_actions, options, match', [
    (_DQN, 6, {}, '3 outputs, which are no multiple of the 6 actions'),
    (_C51, 6, {}, r'153 outputs and atoms of shape \(51,\), .* 6 actions'),
    (_DQN, 3, {'algorithm': 'c51'}, 'is not of c51'),
    (_C51, 3, {'algorithm': 'dqn'}, 'is not of dqn: it holds the atoms of c51'),
])
def test_misfits_are_refused(path, num_actions, options, match):
  with pytest.raises(ValueError, match=match):
    _read(path, num_actions, **options)


def _rewrite(tmp_path, change, source=_DQN):
  """A copy of an archive, its files changed."""
  with zipfile.ZipFile(source) as archive:
    files = {name: archive.read(name) for name in archive.namelist()}
  files = change(files) or files
  path = tmp_path / 'a.cleanrl_model'
  with zipfile.ZipFile(path, 'w') as archive:
    for name, contents in files.items():
      archive.writestr(name, contents)
  return path


def _changed_pickle(old, new):
  def change(files):
    name = next(n for n in files if n.endswith('data.pkl'))
    assert old in files[name]
    files[name] = files[name].replace(old, new)
  return change


def _set(name, contents):
  def change(files):
    root = next(iter(files)).split('/')[0]
    files[f'{root}/{name}'] = contents
  return change


@pytest.mark.parametrize('change, match', [
    (_changed_pickle(b'ctorch._utils\n_rebuild_tensor_v2', b'cos\nsystem'),
     r'it asks for os\.system'),
    (_changed_pickle(b'ctorch\nFloatStorage', b'ctorch\nload'),
     r'it asks for torch\.load'),
    (_changed_pickle(b'storage', b'storagf'), 'to something beside tensors'),
    (_changed_pickle(b'ctorch\nFloatStorage', b'ctorch\nDoubleStorage'),
     'storage .* is missing or not of 512 numbers'),
    # The first kernel has strides (256, 64, 8, 1).
    (_changed_pickle(b'(M\x00\x01K@K\x08K\x01t', b'(M\x00\x02K@K\x08K\x01t'),
     'has too few numbers'),
    (_changed_pickle(
        b'(M\x00\x01K@K\x08K\x01t', b'(J\xff\xff\xff\xffK@K\x08K\x01t'),
     'tensor of another kind'),
    (_set('data/0', b'123'), "storage '0' is missing or not of 512 numbers"),
    (_set('byteorder', b'big'), 'big-endian'),
    (_set('other/data.pkl', b''), 'holds 2 files data.pkl'),
    (_changed_pickle(b'network.0.weight', b'network.1.weight'),
     r'is not a network of dqn_atari.py .* differ in network\.0\.weight'),
    (_changed_pickle(b'network.0.weight', b'network.0.conv.w'),
     'is an Impala network of CleanRL'),
])
def test_a_file_that_is_something_else_gives_one_line(tmp_path, change, match):
  with pytest.raises(ValueError, match=match) as caught:
    _read(_rewrite(tmp_path, change))
  assert '\n' not in str(caught.value)


def test_a_storage_that_is_missing_or_packed_is_refused(tmp_path):
  def without(files):
    return {n: c for n, c in files.items() if not n.endswith('data/4')}

  with pytest.raises(ValueError, match="storage '4' is missing"):
    _read(_rewrite(tmp_path, without))
  path = tmp_path / 'b.cleanrl_model'
  with zipfile.ZipFile(_DQN) as source, zipfile.ZipFile(
      path, 'w', zipfile.ZIP_DEFLATED) as target:
    for name in source.namelist():
      target.writestr(name, source.read(name))
  with pytest.raises(ValueError, match='is compressed'):
    _read(path)


@hypothesis.given(st.data())
@hypothesis.settings(max_examples=200)
def test_a_damaged_file_gives_one_line_or_a_value(data):
  contents = _DQN.read_bytes()
  # Most of what is not numbers lies at the beginning and at the end.
  places = st.integers(0, 1300) | st.integers(
      len(contents) - 1800, len(contents))
  damaged = bytearray(contents)
  for _ in range(data.draw(st.integers(1, 3))):
    i = min(data.draw(places), len(contents) - 1)
    damaged[i] = data.draw(st.integers(0, 255))
  with tempfile.TemporaryDirectory() as directory:
    path = pathlib.Path(directory) / 'a.cleanrl_model'
    path.write_bytes(damaged)
    try:
      foreign_network.check(_read(path).network, 'a', _FRAME)
    except ValueError as error:
      assert '\n' not in str(error)


def test_what_is_no_archive_is_refused(tmp_path):
  path = tmp_path / 'a.cleanrl_model'
  path.write_bytes(pickle.dumps({}))
  with pytest.raises(ValueError, match='not a zip archive as torch.save'):
    _read(path)
  path.write_bytes(_DQN.read_bytes()[:3000])
  with pytest.raises(ValueError, match='damaged archive'):
    _read(path)
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr('a/b', b'')
  with pytest.raises(ValueError, match='holds 0 files data.pkl'):
    _read(path)


def test_pytorch_reads_the_same(tmp_path):
  torch = pytest.importorskip(
      'torch', reason='only compared with PyTorch where it is installed')
  tensors = {'a': torch.arange(24.).reshape(2, 3, 4).permute(2, 0, 1),
             'b': torch.arange(10)[3:7], 'c': torch.tensor(2.5),
             'd': torch.nn.Parameter(torch.ones(3).half())}
  path = tmp_path / 'a.pt'
  torch.save(tensors, path)
  found = array_pickle.arrays(torch_file.load(path), 'a')
  for name, tensor in tensors.items():
    np.testing.assert_array_equal(found[name], tensor.detach().numpy())
