"""Runs a program on a terminal of its own; what it shows there is printed. Its status is kept.

on_a_terminal.py PROGRAM ARGUMENT...
"""
import os
import pty
import sys


def read(terminal):
    return os.read(terminal, 1024)


# The program's terminal gets nothing typed: the other end of this pipe stays open.
quiet, _typed = os.pipe()
os.dup2(quiet, 0)
status = pty.spawn(sys.argv[1:], read)
sys.exit(os.waitstatus_to_exitcode(status))
