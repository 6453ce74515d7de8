"""A listener of the tests' own, where another server would be."""

import contextlib
import socket
import threading

from server import PATIENCE


class Listener:
    """talk(SOCKET) has each client, in a thread of its own, until it returns or raises OSError."""

    def __init__(self, talk):
        self.talk = talk
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *fault):
        self.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client):
        with client, contextlib.suppress(OSError):
            self.talk(client)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)  # accept() returns
        self.listener.close()
        self.thread.join(PATIENCE)
