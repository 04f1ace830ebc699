"""Says something to an echo server: python3 echo_client.py PORT [TEXT]"""
import sys

import berkeley as socket

text = sys.argv[2] if len(sys.argv) > 2 else "hello, world"
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=5) as server:
    server.sendall(text.encode())
    print(server.recv(4096).decode())
