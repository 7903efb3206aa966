"""What the nodes' runtimes tell of their pulls: OpenTelemetry spans, as containerd sends them."""
