"""New rows through a model's endpoint: question-answer pairs, rows in the style of given ones, and other wordings."""
