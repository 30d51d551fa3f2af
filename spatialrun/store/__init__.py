"""Objects, actions, runs, views and digests."""
