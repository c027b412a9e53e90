"""Floor 0: errors, plug-in look-up, atomic files, events, seeds. Imports nothing from the rooms above."""
