"""The command line: each command parses, calls and prints. Whatever is heavy is imported inside the command."""
