"""What a runtime's spans tell of a pull. Pure: spans in, records out; who receives them is elsewhere."""
