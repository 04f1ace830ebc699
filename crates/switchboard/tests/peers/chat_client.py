"""A chat client: one thread prints what arrives, the main one sends what is typed.

chat_client.py HOST:PORT
"""
import socket
import sys
import threading


def show(sock):
    while True:
        data = sock.recv(1024)
        if not data:
            print("(closed)", flush=True)
            return
        sys.stdout.write(data.decode())
        sys.stdout.flush()


host, port = sys.argv[1].rsplit(":", 1)
sock = socket.create_connection((host, int(port)))
print("port", sock.getsockname()[1], flush=True)
reader = threading.Thread(target=show, args=(sock,))
reader.start()
for line in sys.stdin:
    sock.sendall(line.encode())
sock.shutdown(socket.SHUT_WR)
reader.join()
sock.close()
