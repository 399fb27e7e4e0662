"""The local object store: paths, locks, receipts, atomic publication, layers."""
