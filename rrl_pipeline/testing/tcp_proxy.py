"""A network between two programs, which can be cut in several ways."""

import contextlib
import socket
import struct
import threading
from typing import Iterator

_CHUNK_BYTES = 2**16
# <sys/socket.h>: closing drops what was not sent, and resets the connection.
_RESET = struct.pack('ii', 1, 0)


class _Connection:
  """Two sockets, and two threads that carry what comes from one to the other.

  Attributes:
    flows: set while anything is carried.
  """

  def __init__(self, client: socket.socket, server: socket.socket):
    self.flows = threading.Event()
    self.flows.set()
    self._sockets = (client, server)
    for source, sink in ((client, server), (server, client)):
      threading.Thread(
          target=self._carry, args=(source, sink), daemon=True
      ).start()

  def reset(self) -> None:
    for end in self._sockets:
      with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        # Whoever waits in another thread is told by this alone.
        end.shutdown(socket.SHUT_RDWR)
      end.close()
    self.flows.set()

  def _carry(self, source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
      while data := source.recv(_CHUNK_BYTES):
        self.flows.wait()
        sink.sendall(data)
      sink.shutdown(socket.SHUT_WR)


class TcpProxy:
  """Passes connections on to a server, except while it is told not to.

  Attributes:
    address: HOST:PORT where it listens.
    num_connections: that were made so far.
  """

  def __init__(self, server: str, host: str = '127.0.0.1'):
    """Starts one.

    Args:
      server: HOST:PORT to which it passes connections on.
      host: the loopback address at which it listens.
    """
    server_host, _, server_port = server.rpartition(':')
    self._server = (server_host, int(server_port))
    self._lock = threading.Lock()
    self._connections: list[_Connection] = []
    self._flows = True
    self.num_connections = 0
    self._listener = self._listen((host, 0))
    self.address = f'{host}:{self._listener.getsockname()[1]}'

  @contextlib.contextmanager
  def refused(self) -> Iterator[None]:
    """Resets all connections and refuses new ones."""
    place = self._listener.getsockname()
    # Whoever waits for a connection is told by the first alone.
    self._listener.shutdown(socket.SHUT_RDWR)
    self._listener.close()
    self._reset_all()
    try:
      yield
    finally:
      self._listener = self._listen(place)

  @contextlib.contextmanager
  def stalled(self) -> Iterator[None]:
    """Carries nothing for a while; no connection is lost."""
    with self._lock:
      self._flows = False
      stalled = list(self._connections)
      for connection in stalled:
        connection.flows.clear()
    try:
      yield
    finally:
      with self._lock:
        self._flows = True
        for connection in self._connections:
          connection.flows.set()

  def forget(self) -> None:
    """Carries nothing more on the connections there are, and tells nobody."""
    with self._lock:
      for connection in self._connections:
        connection.flows.clear()
      self._connections.clear()

  def close(self) -> None:
    with contextlib.suppress(OSError):
      self._listener.shutdown(socket.SHUT_RDWR)
    self._listener.close()
    self._reset_all()

  def _reset_all(self) -> None:
    with self._lock:
      for connection in self._connections:
        connection.reset()
      self._connections.clear()

  def _listen(self, place: tuple[str, int]) -> socket.socket:
    listener = socket.create_server(place)
    threading.Thread(
        target=self._accept, args=(listener,), daemon=True
    ).start()
    return listener

  def _accept(self, listener: socket.socket) -> None:
    while True:
      try:
        client, _ = listener.accept()
      except OSError:
        return  # It was closed.
      try:
        server = socket.create_connection(self._server)
      except OSError:
        client.close()
        continue
      connection = _Connection(client, server)
      with self._lock:
        self.num_connections += 1
        self._connections.append(connection)
        if not self._flows:
          connection.flows.clear()
