"""A cluster's servers and its consensus: who leads what, who follows how closely, and how that changed."""
