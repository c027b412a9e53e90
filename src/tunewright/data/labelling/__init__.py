"""Labels given by people: which row to ask for next, what was answered, and how far two people agree."""
