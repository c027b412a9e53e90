"""What texts mean, as vectors of a text encoder: copies in other words, wrong labels, coverage, enough data?

texts ─ embedding ─▶ vectors ─┬─ neighbours ─▶ copies by meaning, leakage
                     (cached) ├─ head ─▶ label errors (confident), learning curve, guard of augmented rows
                              └─ coverage, diversity
"""
