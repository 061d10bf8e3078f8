"""Lines echoed by Python's asynchat, as its documentation writes it.

asynchat.py PORT     0: a free one; prints the address when it listens
"""

import asynchat
import asyncore
import socket
import sys


class Echo(asynchat.async_chat):
    def __init__(self, sock):
        super().__init__(sock)
        self.parts = []
        self.set_terminator(b"\r\n")

    def collect_incoming_data(self, data):
        self.parts.append(data)

    def found_terminator(self):
        line = b"".join(self.parts)
        self.parts.clear()
        self.push(line + b"\r\n")


class Server(asyncore.dispatcher):
    def __init__(self, port):
        super().__init__()
        self.create_socket()
        # As all others do; the connections inherit it.
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.bind(("127.0.0.1", port))
        self.listen(1024)

    def handle_accepted(self, sock, addr):
        Echo(sock)


server = Server(int(sys.argv[1]))
print("%s:%d" % server.socket.getsockname(), flush=True)
asyncore.loop()
