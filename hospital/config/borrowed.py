"""What Django and django-allauth say on the portal's pages and not in all of our languages.

Named here so that the catalogues ask for it (docs/languages.md): an app's catalogue goes before
that of the libraries. Nothing reads this.
"""

from django.utils.translation import gettext_noop as _
from django.utils.translation import ngettext_lazy

BORROWED = (
    _("This field is required."),
    _("Enter a whole number."),
    _("A user with that username already exists."),
    _(
        "Enter a valid username. This value may contain only letters, numbers, and @/./+/-/_ "
        "characters."
    ),
    ngettext_lazy(
        "This password is too short. It must contain at least %(min_length)d character.",
        "This password is too short. It must contain at least %(min_length)d characters.",
    ),
    _("This password is too common."),
    _("The password is too similar to the %(verbose_name)s."),
    _("The two password fields didn’t match."),
    _("New password"),
    _("New password confirmation"),
    _("username"),
    _("first name"),
    _("last name"),
    _("Password"),
    _("Name"),
    _("Incorrect code."),
    _("Incorrect password."),
    _("Enter your password"),
    _("Use your password"),
    _("Use authenticator app or code"),
    _("Use a security key"),
)
