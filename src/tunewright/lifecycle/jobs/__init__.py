"""Jobs: work that a server takes in, and that workers do in processes of their own."""
