"""What a study asks for, and what a sweep of it will do and cost. Nothing here touches a cluster."""
