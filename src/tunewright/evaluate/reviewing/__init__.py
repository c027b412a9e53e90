"""People look at answers: blind, shuffled, several at a time, each answer on disk before the next is shown."""
