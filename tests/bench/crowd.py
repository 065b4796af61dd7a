#!/usr/bin/python3
"""crowd.py PORT COUNT: so many clients that each send one byte of a request's head in a second.

Says "attached" when all are connected and have sent their first byte, and when its standard input ends, how many the
server still has.
"""

import os
import select
import socket
import sys
import time

HEAD = b"GET /hello.txt HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "


class Slow:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.sent = 0
        self.send()

    def send(self):
        self.socket.send(HEAD[self.sent:self.sent + 1] or b"a")
        self.sent += 1

    def is_attached(self):
        """An answer would mean that we are no slow client any more."""
        try:
            self.socket.recv(1)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False


def send_until_told(clients):
    """Each once in a second, one after the other. All that is due is sent after every millisecond."""
    begin, sent = time.monotonic(), 0
    while not select.select([0], [], [], 0.001)[0]:
        due = int((time.monotonic() - begin) * len(clients))
        for n in range(sent, due):
            try:
                clients[n % len(clients)].send()
            except OSError:
                pass  # counted at the end
        sent = due


def main():
    port, count = map(int, sys.argv[1:])
    clients = [Slow(port) for _ in range(count)]
    print("attached", flush=True)
    send_until_told(clients)
    print(sum(client.is_attached() for client in clients), flush=True)
    os._exit(0)  # not one close after the other


if __name__ == "__main__":
    main()
