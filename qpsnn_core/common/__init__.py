"""What every room may use: errors, checks, files, progress, types of arrays; it imports nothing of ours."""
