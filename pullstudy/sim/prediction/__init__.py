"""What the model says of a job before it is run: no server, no objects, only the times of its pods."""
