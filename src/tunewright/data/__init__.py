"""Floor 3: from raw records to examples. Read, clean, converse, split, look before training, tokenise."""
