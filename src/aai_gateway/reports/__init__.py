"""Reports as one file: a statement that can be read, printed and filed without the gateway."""
