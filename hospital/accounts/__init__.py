"""Staff, clinics and roles: who somebody is, and what that lets them do, where."""
