"""The command line of rcrun: what people type, tables, messages, exit statuses."""
