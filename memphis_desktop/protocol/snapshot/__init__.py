"""The formats that nats-server keeps and backs up streams in, without input or output.

A backup is S2 frames (`s2_frames`) around either an archive (`archive`, since 2.15) or a tar file of the
folder that a server keeps a stream in, whose messages are records of blocks (`block_records`).
"""
