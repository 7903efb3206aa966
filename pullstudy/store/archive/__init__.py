"""Records as Parquet, in a directory or on S3, a file for each day and cluster: for years, and for anyone's engines.

    ARCHIVE/incoming/pulls/<digest>.parquet                     as it was delivered: some thousand records of any days
    ARCHIVE/pulls/day=2026-11-24/cluster=prod-1/pulls.parquet   the partition: sorted, each record once

What is delivered is an object under ``incoming/``, named by its own content. Compaction merges it into the one file of
each partition, which it replaces only if nobody else has since it was read, and deletes it afterwards. A kill anywhere
leaves either the object or the partition with it, or both: they are the same records by their identity, and merging
them again changes nothing. So a partition never has a record twice, and whoever reads partitions alone (DuckDB, Spark,
Trino) sees each once; what reads here takes ``incoming/`` too, before it looks at the partitions.
"""
