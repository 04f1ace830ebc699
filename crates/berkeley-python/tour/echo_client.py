"""Says something to an echo server, and prints what comes back."""
import argparse

import berkeley as socket

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("host")
parser.add_argument("port", type=int)
parser.add_argument("text", nargs="?", default="hello, world")
arguments = parser.parse_args()

with socket.create_connection((arguments.host, arguments.port), timeout=5) as server:
    server.sendall(arguments.text.encode())
    # Without it the server could not know that nothing more comes.
    server.shutdown(socket.SHUT_WR)
    answer = b""
    while piece := server.recv(4096):
        answer += piece
print(answer.decode())
