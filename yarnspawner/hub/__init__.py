"""Objects that exist once for each hub: its identity, its accounts, its start-up."""
