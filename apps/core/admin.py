"""The admin's base class and the floor's own pages."""
