"""Other clients doing the work that is measured: each a program of its own, storing nothing.

Every one binds once, keeps a window of submit_sm that ask for a receipt, answers each deliver_sm,
and ends when every receipt is home. `via_socket` is no peer: sockets and struct alone, to tell how
fast the SMSC itself can be driven. They run as `python -m smppgw.bench.peers.via_…`, so that one
that is not installed fails alone.
"""
