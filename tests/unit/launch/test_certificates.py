"""Which names the certificates of servers have."""

from yarnspawner.launch.certificates import alt_names


def test_alt_names():
    """A certificate is for the nodes, or for the domains of very many nodes."""
    assert alt_names(["b.example", "a.example", "10.0.0.1"]) == ["IP:10.0.0.1", "DNS:a.example", "DNS:b.example"]
    many = [f"node{number}.rack{number % 3}.example.com" for number in range(5000)]
    assert alt_names([*many, "10.0.0.1", "edge"]) == [
        "DNS:*.rack0.example.com",
        "DNS:*.rack1.example.com",
        "DNS:*.rack2.example.com",
        "IP:10.0.0.1",
        "DNS:edge",
    ]
