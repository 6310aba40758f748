"""System checks of the floor: what would fail at 2:30 at night is said at the start."""
