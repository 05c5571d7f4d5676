"""How each figure is taken.

Pure functions over records, and readers that gather the records: of the audit log, of watches
and of /proc.
"""
