"""Our channels between Lava's processes: order, contents, when an end waits; in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.lava,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere Lava keeps its own channels"),
]

BEFORE = """
import time, numpy as np, multiprocessing as mp
from lava.magma.runtime.message_infrastructure.multiprocessing import MultiProcessing
from lava.magma.compiler.channels.interfaces import ChannelType
from lava.magma.compiler.channels.pypychannel import CspSelector, CspSendPort, CspRecvPort
from qpsnn_backends.lava.channels import use_direct_channels, DirectChannel
use_direct_channels()
infrastructure = MultiProcessing()
infrastructure.start()
def channel(shape=(3, 2), dtype=np.int32, size=2):
    made = infrastructure.channel_class(ChannelType.PyPy)(infrastructure, "a", "b", shape, dtype, size, None, None)
    assert isinstance(made, DirectChannel)
    assert isinstance(made.src_port, CspSendPort) and isinstance(made.dst_port, CspRecvPort)
    return made.src_port, made.dst_port
"""

CASES = {
    "messages arrive whole and in order": """
send, recv = channel()
def sender():
    send.start()
    for k in range(2000):
        send.send(np.arange(6).reshape(3, 2) + k)
process = mp.Process(target=sender)
process.start()
recv.start()
for k in range(2000):
    assert (recv.recv() == np.arange(6).reshape(3, 2) + k).all()
assert not recv.probe()
process.join()
""",
    "a sender waits when all slots are full": """
send, recv = channel(size=3)
send.start(); recv.start()
for k in range(3):
    assert send.probe()
    send.send(np.full((3, 2), k))
assert not send.probe()
begun = mp.Event()
def sender():
    begun.set()
    send.send(np.full((3, 2), 3))
process = mp.Process(target=sender)
process.start()
begun.wait()
time.sleep(0.2)
assert process.is_alive()
assert recv.recv()[0, 0] == 0
process.join(60)
assert process.exitcode == 0
assert [recv.recv()[0, 0] for _ in range(3)] == [1, 2, 3]
""",
    "a receiver waits and a look leaves the message": """
send, recv = channel()
recv.start()
looked = mp.Event()
def later():
    send.start()
    looked.wait()
    time.sleep(0.2)
    send.send(np.ones((3, 2)))
process = mp.Process(target=later)
process.start()
assert not recv.probe()
looked.set()
assert recv.peek().all() and recv.probe() and recv.peek().all()
assert recv.recv().all() and not recv.probe()
process.join()
""",
    "what was received does not change": """
send, recv = channel(size=1)
send.start(); recv.start()
send.send(np.ones((3, 2)))
first = recv.recv()
send.send(np.zeros((3, 2)))
assert first.all()
""",
    "booleans become numbers and another shape is refused": """
send, recv = channel()
send.start(); recv.start()
send.send(np.ones((3, 2), bool))
assert recv.recv().dtype == np.int32
try:
    send.send(np.ones((1, 2), np.int32))
except AssertionError as error:
    assert "expected (3, 2), got (1, 2)" in str(error)
else:
    raise SystemExit("no error")
""",
    "a selector answers for the channel that has a message": """
one, two = channel(), channel()
for port in (*one, *two):
    port.start()
actions = [(one[1], lambda: "one"), (two[1], lambda: "two")]
two[0].send(np.ones((3, 2)))
assert CspSelector().select(*actions) == "two"
one[0].send(np.ones((3, 2)))
assert CspSelector().select(actions[0]) == "one"
""",
}


@pytest.mark.parametrize("case", CASES)
def test_direct_channels(case):
    code = BEFORE + CASES[case] + "\ninfrastructure.stop()\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
