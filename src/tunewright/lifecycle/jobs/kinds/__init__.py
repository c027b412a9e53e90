"""What tasks of a kind do: one file for each, named like the kind.

A file holds

    handle(task, desk) -> None          # does the work, from where an earlier process left off; what it made and how it
                                        # ended is in records. It calls desk.check() between two pieces of work
    give_up(task, desk, why) -> None    # marks its record as failed, where processes for it died again and again

and may hold

    LIGHT = True                        # the worker does it in a thread of its own process, beside everything else
    come_so_far(task, workspace)        # a process that died further on than the one before is not counted as failing
    recover(workspace)                  # queues what was recorded by a process that was killed before it could queue it
"""
