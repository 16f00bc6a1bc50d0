from __future__ import annotations

import pytest

from tokenstore.providers.addresses import AddressPolicy, AddressRefused, Target

POLICY = AddressPolicy(["idp.internal", "10.9.8.7", "[FD00::7]"])


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://idp.example", Target("https", "idp.example", 443, "/")),
        ("https://IDP.example:8443/a%2Fb?c=d&e", Target("https", "idp.example", 8443, "/a%2Fb?c=d&e")),
        ("http://127.0.0.1:5000/x", Target("http", "127.0.0.1", 5000, "/x")),
        ("http://localhost/x", Target("http", "localhost", 80, "/x")),
        ("http://[::1]:1/x", Target("http", "::1", 1, "/x")),
        ("http://idp.internal/x", Target("http", "idp.internal", 80, "/x")),
        ("https://[fd00::7]/x", Target("https", "fd00::7", 443, "/x")),
    ],
)
def test_a_url_is_taken_apart(url: str, target: Target) -> None:
    assert POLICY.target(url) == target


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("https://idp.example/", "idp.example"),
        ("https://idp.example:443/", "idp.example"),
        ("https://idp.example:80/", "idp.example:80"),
        ("http://[::1]:8080/", "[::1]:8080"),
    ],
)
def test_the_host_header_is_written_as_it_should_be(url: str, authority: str) -> None:
    assert POLICY.target(url).authority == authority


@pytest.mark.parametrize(
    "address",
    ["93.184.216.34", "2606:4700::1111", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"],
)
def test_a_public_address_is_dialled(address: str) -> None:
    assert POLICY.check("idp.example", [address])


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "127.0.0.1",
        "127.8.8.8",
        "169.254.169.254",
        "169.254.1.1",
        "100.100.100.200",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "0.1.2.3",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::7f00:1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2001:0:7f00:1::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "ff02::1",
        "2001:db8::1",
    ],
)
def test_an_inner_or_odd_address_of_a_public_name_is_refused(address: str) -> None:
    with pytest.raises(AddressRefused):
        POLICY.check("idp.example", [address])
    with pytest.raises(AddressRefused):
        POLICY.check("idp.example", ["93.184.216.34", address])


@pytest.mark.parametrize("address", ["10.0.0.1", "fd00::7", "127.0.0.1", "100.64.0.1", "93.184.216.34"])
def test_a_listed_host_may_stand_inside(address: str) -> None:
    assert POLICY.check("idp.internal", [address]) == (address,)


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "224.0.0.1", "::", "fe80::1"]
)
def test_a_listed_host_may_not_stand_where_no_provider_stands(address: str) -> None:
    with pytest.raises(AddressRefused):
        POLICY.check("idp.internal", [address])


@pytest.mark.parametrize("address", ["10.0.0.1", "93.184.216.34"])
def test_a_loopback_name_leads_to_loopback_only(address: str) -> None:
    assert POLICY.check("localhost", ["::1", "127.0.0.1"]) == ("::1", "127.0.0.1")
    with pytest.raises(AddressRefused):
        POLICY.check("localhost", [address])


@pytest.mark.parametrize("found", [[], ["idp.example"], [""]])
def test_no_address_is_none_to_dial(found: list[str]) -> None:
    with pytest.raises(AddressRefused):
        POLICY.check("idp.example", found)
