"""What people and programs changed, who, when and from where."""
