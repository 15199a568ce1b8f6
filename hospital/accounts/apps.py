"""How Django knows this app."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """See the package's own docstring."""

    name = "hospital.accounts"
    label = "accounts"
    verbose_name = "Staff and clinics"

    def ready(self) -> None:
        """Listen to every door that signs people in, and to what allauth does to factors."""
        # Models can be imported only now.
        from allauth.mfa.signals import authenticator_added, authenticator_removed  # noqa: PLC0415
        from django.contrib.auth.signals import user_logged_in  # noqa: PLC0415

        from hospital.accounts.signin import factors, sessions  # noqa: PLC0415

        user_logged_in.connect(sessions.opened, dispatch_uid="accounts.opened")
        authenticator_added.connect(factors.added, dispatch_uid="accounts.factor-added")
        authenticator_removed.connect(factors.removed, dispatch_uid="accounts.factor-removed")
