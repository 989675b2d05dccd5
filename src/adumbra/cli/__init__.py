"""The command line: each command parses, calls and prints. Heavy modules are imported inside the commands."""
