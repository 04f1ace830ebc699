"""Sends each line it reads and prints what comes back. echo_client.py HOST:PORT"""
import socket
import sys

host, port = sys.argv[1].rsplit(":", 1)
sock = socket.create_connection((host, int(port)), timeout=8)
for line in sys.stdin:
    sock.send(line.strip().encode())
    print("answer", sock.recv(1024).decode(), flush=True)
sock.close()
