"""The bus between collectors and stores: the Bus protocol, the format of its messages, Kafka, and a bus in the process.

Knows only the vocabulary. Never decides what a record means, never loses one: what cannot be carried is a dead letter.
"""
