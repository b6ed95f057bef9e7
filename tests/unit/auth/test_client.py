"""Who calls, as far as one can know."""

import pytest

from kelmah.services.auth.service import client_of


@pytest.mark.parametrize(
    ("forwarded_for", "address", "network"),
    [
        ("102.176.1.9", "102.176.1.9", "102.176.1.9"),
        ("::ffff:102.176.1.9", "102.176.1.9", "102.176.1.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::1", "fe80::/64"),
        ("102.176.1.9, 10.0.0.1", None, "unknown"),
        ("<script>", None, "unknown"),
        (None, None, "unknown"),
    ],
)
def test_limits_count_by_network(forwarded_for: str | None, address: str | None, network: str) -> None:
    client = client_of(forwarded_for=forwarded_for, user_agent=None, device=None)
    assert (client.address, client.network) == (address, network)


def test_what_does_not_print_is_left_out_and_devices_are_kept_as_hashes() -> None:
    client = client_of(forwarded_for=None, user_agent="Phone\x1b[31m\n" + "x" * 400, device="a-device-of-mine-1")
    assert client.user_agent is not None
    assert client.user_agent.startswith("Phone[31mxxx")
    assert len(client.user_agent) == 256
    assert client.device_hash is not None
    assert len(client.device_hash) == 64
