"""Where messages and consumer state are kept: segmented log, index, recovery, group commit; memory store."""
