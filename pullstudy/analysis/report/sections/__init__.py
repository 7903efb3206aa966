"""The sections of the report, a module each: ``build(facts)`` gives words, tables and figures. None draws or writes."""
