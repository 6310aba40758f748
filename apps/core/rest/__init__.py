"""What every API resource shares."""
