"""What training minimises, one file each.

An objective says which paths an example becomes, and how the paths' edge scores become a sum of losses and the sum's
weight. The training loop divides once, by the whole step's weight, so that neither micro-batches nor ranks matter.
"""
