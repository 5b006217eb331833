"""What each function does with its request, from the doors' answers to an outcome; one file a function."""
