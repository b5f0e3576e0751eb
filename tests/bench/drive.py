#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A person at a terminal, for the benchmarks: runs a full-screen program on a pty of 100 x 30,
types into it and reads what it draws.

  drive.py flood KEYS LINE MARK PROBE PIDS -- CMD   type KEYS, then LINE; until MARK appears press
            PROBE now and then. Prints wall seconds, CPU seconds, the worst answer to PROBE in ms,
            and the MB drawn.
  drive.py idle KEYS SECONDS -- CMD   type KEYS, let it settle, then leave it alone for so long.
            Prints the CPU in percent of a core, and the bytes drawn.

PROBE is a key that makes the program draw a "…", then one that takes it away, separated by a
comma. PIDS is a shell command that prints the processes whose CPU counts; empty: CMD's own.
"""
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time

TICK = os.sysconf("SC_CLK_TCK")


class Screen:
    def __init__(self, argv):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm-256color"
            os.execvp(argv[0], argv)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.drawn = 0

    def read(self, seconds):
        """What is drawn next, b"" if nothing is for so long."""
        if not select.select([self.fd], [], [], max(0, seconds))[0]:
            return b""
        data = os.read(self.fd, 65536)
        self.drawn += len(data)
        return data

    def settle(self, quiet, at_most):
        end = time.monotonic() + at_most
        while time.monotonic() < end and self.read(quiet):
            pass

    def type(self, keys):
        os.write(self.fd, keys)

    def close(self):
        os.kill(self.pid, 15)
        os.close(self.fd)
        os.waitpid(self.pid, 0)


def cpu(pids):
    """Seconds of CPU, to the nanosecond, that these processes have used."""
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat") as f:
                total += int(f.read().split()[0])
    return total / 1e9


def unescape(text):
    return text.encode().decode("unicode_escape").encode("latin-1")


def flood(keys, line, mark, probe, pids, argv):
    s = Screen(argv)
    s.settle(0.3, 3)
    for key in filter(None, keys.split(",")):
        s.type(unescape(key))
        s.settle(0.3, 3)
    pids = subprocess.run(pids, shell=True, check=True, capture_output=True,
                          text=True).stdout.split() if pids else [s.pid]
    on, off = (unescape(k) for k in probe.split(","))
    before, drawn, start = cpu(pids), s.drawn, time.monotonic()
    s.type(line.encode() + b"\r")
    worst, pressed, next_probe, tail = 0, None, start + 0.3, b""
    while mark.encode() not in tail:
        now = time.monotonic()
        if now - start > 120:
            sys.exit("no end after 120 s")
        if pressed is None and now > next_probe:
            s.type(on)
            pressed = now
        data = s.read(0.05)
        tail = (tail + data)[-200000:]
        if pressed is not None and "…".encode() in data:
            worst = max(worst, time.monotonic() - pressed)
            s.type(off)
            pressed, next_probe = None, time.monotonic() + 0.3
    wall = time.monotonic() - start
    if pressed is not None:
        worst = max(worst, time.monotonic() - pressed)
    print(f"{wall:.2f} {cpu(pids) - before:.2f} {worst * 1000:.1f} {(s.drawn - drawn) / 1e6:.2f}")
    s.close()


def idle(keys, seconds, argv):
    s = Screen(argv)
    s.settle(1, 5)
    for key in filter(None, keys.split(",")):
        s.type(unescape(key))
        s.settle(1, 5)
    before, drawn, end = cpu([s.pid]), s.drawn, time.monotonic() + float(seconds)
    while time.monotonic() < end:
        s.read(end - time.monotonic())
    print(f"{(cpu([s.pid]) - before) / float(seconds) * 100:.2f} {s.drawn - drawn}")
    s.close()


def main():
    split = sys.argv.index("--")
    args, argv = sys.argv[1:split], sys.argv[split + 1:]
    {"flood": flood, "idle": idle}[args[0]](*args[1:], argv)


main()
