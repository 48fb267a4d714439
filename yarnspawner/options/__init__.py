"""Profiles and limits that users choose from: the form, and the check of users' choices."""
