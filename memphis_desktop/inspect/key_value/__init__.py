"""Key-value buckets as data: names, configurations, entries, pages of keys, merging, comparing, files."""
