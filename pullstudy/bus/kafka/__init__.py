"""The Bus on Kafka: settings, topics, producer, consumer, and what a user may do there."""
