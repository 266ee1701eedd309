"""Who is connected to the servers, who was, and who comes and goes."""
