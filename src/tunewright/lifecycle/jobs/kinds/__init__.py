"""What tasks of a kind do: one file for each, named like the kind.

A file holds

    handle(task, desk) -> None          # does the work, from where an earlier process left off; what it made and how it
                                        # ended is in records. It calls desk.check() between two pieces of work
    give_up(task, desk, why) -> None    # marks its record as failed, where processes for it died again and again
"""
