"""The history checker finds what breaks the promise of messaging: each kind of fault, planted into a good history."""

import copy
from collections.abc import Callable

import pytest

from tests.fixtures.history import Asked, Device, Gap, History, Message, Resumed, Sending, Stored, Wire, faults

ROWS = [Stored("c", number, f"id{number}", "efua", f"k{number}", f"text {number}") for number in (1, 2, 3, 4)]


def good() -> tuple[History, list[Stored]]:
    """Four messages; one device saw two live, lost its socket, and resumed; another fetched what a gap named."""
    sendings = [
        Sending("c", "efua", row.client_id, row.text, 2 * n, acks=[row], ended=2 * n + 1) for n, row in enumerate(ROWS)
    ]
    first = Wire({"c": 0}, [Asked(), Resumed({"c": 0}), Message(ROWS[0]), Message(ROWS[1])])
    second = Wire({"c": 2}, [Asked(), Message(ROWS[3]), Message(ROWS[2]), Message(ROWS[3]), Resumed({"c": 4})])
    late = Wire({"c": 0}, [Asked(), Gap("c", 3), Resumed({}), Message(ROWS[3])])
    devices = [Device("phone", {"c": list(ROWS)}, [first, second]), Device("tablet", {"c": list(ROWS)}, [late])]
    return History(sendings, devices), list(ROWS)


def test_a_good_history_has_no_fault() -> None:
    assert faults(*good()) == []


Plant = Callable[[History, list[Stored]], object]
PLANTS: dict[str, tuple[Plant, str]] = {
    "an acknowledged message is not stored": (lambda _, rows: rows.pop(), "k4: acknowledged as"),
    "stored twice": (lambda _, rows: rows.append(ROWS[3]._replace(sequence=5, message_id="id5")), "k4: stored 2 times"),
    "stored, and nobody sent it": (
        lambda _, rows: rows.append(Stored("c", 5, "id5", "kofi", "k9", "?")), "stored, and nobody sent it",
    ),
    "another text is stored": (
        lambda _, rows: rows.__setitem__(3, ROWS[3]._replace(text="changed")), "k4: stored as another text",
    ),
    "two acknowledgements differ": (
        lambda history, _: history.sendings[3].acks.append(ROWS[3]._replace(sequence=5)), "k4: acknowledged as",
    ),
    "a hole in the sequences": (
        lambda _, rows: rows.__setitem__(3, ROWS[3]._replace(sequence=6)), "sequences are not 1 to 4",
    ),
    "a later message stands before an earlier one": (
        lambda history, _: history.sendings.__setitem__(
            slice(0, 2),
            [
                Sending("c", "efua", "k2", "text 2", 0, acks=[ROWS[1]], ended=1),
                Sending("c", "efua", "k1", "text 1", 2, acks=[ROWS[0]], ended=3),
            ],
        ),
        "k1: sent after k2 was stored, and stands before it",
    ),
    "a device lacks a message": (lambda history, _: history.devices[0].shown["c"].pop(), "phone: shows [1, 2, 3]"),
    "a device shows one twice": (
        lambda history, _: history.devices[0].shown["c"].append(ROWS[3]), "phone: shows [1, 2, 3, 4, 4]",
    ),
    "a device shows another order": (
        lambda history, _: history.devices[1].shown["c"].reverse(), "tablet: shows [4, 3, 2, 1]",
    ),
    "a device shows another text": (
        lambda history, _: history.devices[1].shown["c"].__setitem__(0, ROWS[0]._replace(text="else")),
        "tablet: shows [1, 2, 3, 4]",
    ),
    "one comes twice over a socket": (
        lambda history, _: history.devices[0].wires[0].frames.append(Message(ROWS[1])), "2 came after 2",
    ),
    "one comes out of order": (
        lambda history, _: history.devices[0].wires[0].frames.append(Message(ROWS[3])), "4 came after 2",
    ),
    "a part is claimed as the whole": (
        lambda history, _: history.devices[0].wires[1].frames.pop(2), "claimed all of c up to 4 without [3]",
    ),
    "what comes is not what is stored": (
        lambda history, _: history.devices[1].wires[0].frames.__setitem__(3, Message(ROWS[3]._replace(text="else"))),
        "is not stored so",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_fault_is_found(name: str) -> None:
    plant, words = PLANTS[name]
    history, rows = copy.deepcopy(good())
    plant(history, rows)
    found = faults(history, rows)
    assert any(words in one for one in found), found
