"""Looking at data before training: what is looked at, what a measure says, and the report of them all.

`view.py` holds the rows and what is derived from them once; `inspection.py` is what each plug-in of
`tunewright.data.inspections` gives back; `report.py` asks them all; `reading.py` makes the view of files.
"""
