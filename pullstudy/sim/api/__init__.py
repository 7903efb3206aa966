"""What an API server keeps and how it answers: versions, lists, watches, selectors, statuses. No socket here."""
