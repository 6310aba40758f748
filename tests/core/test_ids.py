"""Public ids: in the order of their making, and never twice."""

import os

from apps.core.ids import uuid7

RANDOM = (1 << 62) - 1


def test_ids_are_of_version_7_in_the_order_of_their_making() -> None:
    ids = [uuid7() for _ in range(1_000)]
    assert {(each.version, each.variant) for each in ids} == {(7, "specified in RFC 4122")}
    assert len(set(ids)) == 1_000
    made = [each.int >> 80 for each in ids]
    assert made == sorted(made)


def test_a_forked_child_does_not_give_out_its_parents_ids() -> None:
    uuid7()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, b"".join(uuid7().bytes for _ in range(100)))
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        theirs = pipe.read()
    os.waitpid(pid, 0)
    # The milliseconds differ in any case; what was drawn must, too.
    drawn = {int.from_bytes(theirs[at : at + 16]) & RANDOM for at in range(0, len(theirs), 16)}
    assert len(drawn) == 100
    assert drawn.isdisjoint(uuid7().int & RANDOM for _ in range(300))
