"""Jobs, applications, contracts and milestones."""
