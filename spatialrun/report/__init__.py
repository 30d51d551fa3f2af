"""The report of a run: one HTML file that needs nothing else, neither a network nor the store.

:func:`~spatialrun.report.report.write_report` makes it from the run's manifest and objects. Each part of the
page is gathered by a module of its own (tasks, flow, gallery, quality, composition, tables, citations) as plain
data; ``page/`` holds the template, the style and the script that show it.
"""
