"""Asks a hub, or time_server.py, for the time."""
import argparse

from berkeley import hub

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("host")
parser.add_argument("port", type=int, nargs="?", default=hub.TIME_PORT)
parser.add_argument("format", nargs="?", default="", help="of strftime: '%%H:%%M'")
arguments = parser.parse_args()

print(hub.time(arguments.host, arguments.format, arguments.port))
