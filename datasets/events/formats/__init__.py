"""Readers of event files, one a format: each gives `Raw` events, as they are in the file."""
