"""Signing in and staying signed in: lockouts, second factors, sessions, confirming who one is.

django-allauth asks for passwords, codes and passkeys; here is what the hospital adds to it. Writes
follow the rules of any service: actor, transaction, audit, and the sockets are told.
"""
