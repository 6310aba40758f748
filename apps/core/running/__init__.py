"""The processes of a studio and their signs of life."""
