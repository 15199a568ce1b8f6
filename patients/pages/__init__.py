"""The pages on which an invitation to the portal is accepted."""
