"""The list of a commune that does not exist, for `smppgw demo`; made by `make_list`."""
