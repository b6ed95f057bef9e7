"""What counts as leading away from the platform, and what does not."""

import pytest

from kelmah.kit.leaks import flags_of


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("Call me on 024 123 4567", ["phone"]),
        ("0241234567", ["phone"]),
        ("+233 24 123 4567", ["phone"]),
        ("my no. is 0 2 4 - 1 2 3 - 4 5 6 7 thanks", ["phone"]),
        ("o24 is wrong but 02o 123 4567 is right", ["phone"]),
        ("zero two four one two three four five six seven", ["phone"]),
        ("٠٢٤١٢٣٤٥٦٧", ["phone"]),
        ("024\u200b123\u200b4567", ["phone"]),
        ("ama@example.com", ["email"]),
        ("ama (at) example (dot) com", ["email"]),
        ("ama at example dot com", ["email"]),
        ("see https://evil.example/x", ["link"]),
        ("look at my-shop.com/prices", ["link"]),
        ("wa.me is where I am", ["link"]),
        ("let us go on on WhatsApp", ["link"]),
        ("send the money to my momo", ["payment"]),
        ("Please pay me directly, it is cheaper", ["payment"]),
        ("we can do this outside the app", ["payment"]),
        ("Payez-moi en espèces", ["payment"]),
        ("WhatsApp 0241234567 and pay cash before I come", ["phone", "link", "payment"]),
        # What is not.
        ("Hello, I can come on 24.12.2026 at 10:30.", []),
        ("It costs GHS 1,234,567.00 in all", []),
        ("12 345 678 90 cedis", []),
        ("The wall is 2.5 x 3.75 m, 12 bags of cement", []),
        ("Escrow is funded; you will be paid when I approve.", []),
        ("Use the 3-phase cable e.g. 5x10mm.", []),
        ("I will be at home on Monday", []),
        ("order no 4471-22", []),
        ("", []),
    ],
)
def test_flags(text: str, flags: list[str]) -> None:
    assert flags_of(text) == flags


def test_long_texts_take_no_time_that_grows_with_their_square() -> None:
    for text in ("0 " * 5_000, "a." * 5_000, "a@" * 5_000, "pay " * 2_500, "x at y dot " * 900):
        flags_of(text)
