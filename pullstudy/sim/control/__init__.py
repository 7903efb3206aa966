"""The control plane: job controller, scheduler and garbage collector, as the real ones treat jobs and pods."""
