"""Starts Reverb servers, by default for the programs of one machine only.

Reverb 0.14 takes a port and no address: its sources say "[::]:port". Linux,
however, lets a process tie one of its sockets to a network device while it
listens already, and a socket that is tied to the loopback device is found by
connections of the same machine alone.
"""

import errno
import ipaddress
import os
import pathlib
import socket
from typing import Optional, Sequence

from absl import logging
import reverb

_LOOPBACK_DEVICE = b'lo\0'
_PROCESS = pathlib.Path('/proc/self')
# <net/tcp_states.h>, as /proc/net/tcp writes it.
_LISTENS = '0A'


def make(
    tables: Sequence[reverb.Table],
    port: Optional[int] = None,
    host: str = 'localhost',
) -> reverb.Server:
  """Starts a server.

  Args:
    tables: of the server.
    port: where it listens; None for any that is free.
    host: by which clients know it. For 'localhost' or a loopback address such
      as 127.0.0.2 or ::1, the server can be reached from this machine alone;
      for all others, it listens on all addresses.

  Raises:
    ValueError: if another program has the port.
  """
  if port is not None:
    _check_free(port)
  server = reverb.Server(list(tables), port)
  if is_loopback(host):
    try:
      _tie_to_loopback(server.port)
    except OSError as error:
      # Before 5.7, Linux lets only those with CAP_NET_RAW do it.
      logging.warning(
          'port %d can be reached from other machines: this system does not'
          ' let a program tie it to the loopback device (%s)',
          server.port,
          error.strerror,
      )
  return server


def is_loopback(host: str) -> bool:
  """Whether a host is named as one that only this machine reaches."""
  if host == 'localhost':
    return True
  try:
    return ipaddress.ip_address(host.strip('[]')).is_loopback
  except ValueError:
    # Some systems have their own name as 127.0.1.1 in /etc/hosts: what a name
    # stands for here says nothing of what it means to others.
    return False


def _check_free(port: int) -> None:
  """Sees that nobody has the port.

  gRPC lets several servers listen on one port, between which the kernel then
  deals out the connections: two runs would share their steps.
  """
  with socket.socket() as probe:
    # Connections of an earlier server may linger.
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
      probe.bind(('', port))
    except OSError as error:
      raise ValueError(
          f'no replay server can listen on port {port} of this machine'
          f' ({error.strerror}); another program may, perhaps the server of'
          ' another run: choose another port'
      ) from error


def _tie_to_loopback(port: int) -> None:
  """Makes this process's sockets that listen on a port forget other devices.

  Raises:
    OSError: if the system does not let it.
  """
  inodes = set()
  for name in ('tcp', 'tcp6'):
    table = _PROCESS / 'net' / name
    for line in table.read_text().splitlines()[1:] if table.exists() else ():
      fields = line.split()
      _, _, listens_on = fields[1].rpartition(':')
      if fields[3] == _LISTENS and int(listens_on, 16) == port:
        inodes.add(f'socket:[{fields[9]}]')
  is_tied = False
  for entry in (_PROCESS / 'fd').iterdir():
    try:
      is_meant = os.readlink(entry) in inodes
    except FileNotFoundError:
      continue  # It was closed meanwhile.
    if is_meant:
      with socket.socket(fileno=os.dup(int(entry.name))) as listener:
        listener.setsockopt(
            socket.SOL_SOCKET, socket.SO_BINDTODEVICE, _LOOPBACK_DEVICE
        )
      is_tied = True
  if not is_tied:
    raise OSError(errno.ENOENT, 'the socket was not found')
