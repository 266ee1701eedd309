"""Object stores: files kept in a stream, in chunks, with a record of each (NATS ADR-20).

Buckets are streams named ``OBJ_<bucket>``. Nothing here makes a consumer: names come from the stream's
subjects, records and chunks by direct gets, so that reading works on a read-only connection and leaves no
trace.
"""
