"""What a spawner shares with its hub: identity, accounts, start-up and pages."""
