"""Tests of whom a replay server lets connect, with real sockets."""

import socket

import psutil
import pytest
import reverb

from rrl_pipeline.replay import server as server_lib


def _own_address() -> str:
  """An address by which this machine is known to others."""
  for addresses in psutil.net_if_addrs().values():
    for address in addresses:
      if (
          address.family == socket.AF_INET
          and not address.address.startswith('127.')
      ):
        return address.address
  pytest.skip('this machine has no address but loopback ones')


def _make(**keywords) -> reverb.Server:
  return server_lib.make([reverb.Table.queue('queue', 10)], **keywords)


def _connect(host: str, port: int) -> None:
  socket.create_connection((host, port), 5).close()


@pytest.mark.parametrize('host', ['localhost', '127.0.0.2', '::1', '[::1]'])
def test_loopback_is_for_this_machine_alone(host):
  outside = _own_address()
  server = _make(host=host)
  for inside in ('localhost', '127.0.0.1', '127.0.0.2'):
    _connect(inside, server.port)
  with pytest.raises(ConnectionRefusedError):
    _connect(outside, server.port)
  client = reverb.Client(f'127.0.0.2:{server.port}')
  client.insert(1, {'queue': 1.0})
  assert client.server_info(timeout=60)['queue'].current_size == 1
  server.stop()


@pytest.mark.parametrize('host', ['0.0.0.0', '192.0.2.1', 'node1'])
def test_any_other_host_opens_the_port(host):
  outside = _own_address()
  server = _make(host=host)
  _connect(outside, server.port)
  _connect('localhost', server.port)
  server.stop()


def test_a_system_that_does_not_let_it_is_told(monkeypatch, caplog):
  def refuse(*_):
    raise PermissionError(1, 'Operation not permitted')

  monkeypatch.setattr(server_lib, '_tie_to_loopback', refuse)
  server = _make()
  assert f'port {server.port} can be reached from other machines' in caplog.text
  assert 'Operation not permitted' in caplog.text
  server.stop()


def test_a_port_that_is_not_there_cannot_be_tied():
  with socket.socket() as taken:
    taken.bind(('localhost', 0))  # Nobody listens.
    with pytest.raises(OSError, match='not found'):
      server_lib._tie_to_loopback(taken.getsockname()[1])


def test_two_servers_do_not_share_a_port():
  server = _make()
  with pytest.raises(ValueError, match=f'port {server.port} .*in use'):
    _make(port=server.port)
  port = server.port
  reverb.Client(f'localhost:{port}').server_info(timeout=60)
  server.stop()
  # Its connections linger, and keep nobody out.
  _make(port=port).stop()
