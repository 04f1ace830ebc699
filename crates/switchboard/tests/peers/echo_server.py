"""Sends back what each client sends, one client after the other."""
import socket

server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen(5)
print("port", server.getsockname()[1], flush=True)
while True:
    conn, address = server.accept()
    while True:
        data = conn.recv(65536)
        if not data:
            break
        conn.sendall(data)
    conn.close()
