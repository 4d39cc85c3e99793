"""What is known of users and items so far: families of plain arrays that one event updates."""
