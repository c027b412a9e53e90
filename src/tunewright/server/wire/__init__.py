"""What clients send: one file for each area of the API."""
