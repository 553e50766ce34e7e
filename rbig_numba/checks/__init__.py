"""The door: what comes in is right, or one line says what is wrong and where."""
