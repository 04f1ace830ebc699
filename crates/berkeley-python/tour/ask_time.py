"""Asks a hub for the time: python3 ask_time.py HOST [PORT [FORMAT]]"""
import sys

from berkeley import hub

port = int(sys.argv[2]) if len(sys.argv) > 2 else hub.TIME_PORT
print(hub.time(sys.argv[1], sys.argv[3] if len(sys.argv) > 3 else "", port))
