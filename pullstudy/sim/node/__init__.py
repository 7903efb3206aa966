"""What is on a node: the kubelet, its image manager, and the words it has for them."""
