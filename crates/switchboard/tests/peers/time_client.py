"""Asks a time server over UDP. time_client.py HOST:PORT FORMAT"""
import socket
import sys

host, port = sys.argv[1].rsplit(":", 1)
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(5)
sock.sendto(sys.argv[2].encode(), (host, int(port)))
answer, address = sock.recvfrom(1024)
print(answer.decode())
sock.close()
